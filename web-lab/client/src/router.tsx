/** Two places: the list of chapters at `/`, and a chapter at `/chapter/ID`. Links work as links, without loading the page anew. */
import type { ComponentChildren } from 'preact';
import type { ChapterView } from '../../protocol.js';
import { Store } from './store.js';

export type Place = { readonly page: 'list' } | { readonly page: 'chapter'; readonly chapter: string };

export const place = new Store<{ at: Place }>({ at: read() });

/** The chapter that is open, once it was fetched. */
export const shown = new Store<{ chapter?: ChapterView }>({});

export function chapterPath(id: string): string {
  return `/chapter/${id}`;
}

export function startRouter(): void {
  addEventListener('popstate', () => place.set({ at: read() }));
}

export function Link({ href, class: name, children }: { href: string; class?: string; children: ComponentChildren }) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    history.pushState(null, '', href);
    place.set({ at: read() });
    scrollTo(0, 0);
    // As after loading a page: the next Tab starts at the top, and a screen reader begins there.
    document.getElementById('main')?.focus({ preventScroll: true });
  };
  return (
    <a href={href} class={name} onClick={follow}>
      {children}
    </a>
  );
}

function read(): Place {
  const chapter = /^\/chapter\/([a-z0-9-]+)\/?$/.exec(location.pathname)?.[1];
  return chapter ? { page: 'chapter', chapter } : { page: 'list' };
}
