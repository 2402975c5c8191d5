/** The page's frame: the bar on top, the place that the address names, and what is said to screen readers. */
import { useState } from 'preact/hooks';
import { lab } from './lab.js';
import { place } from './router.js';
import { useStore } from './store.js';
import { ChapterPage } from './views/chapter.js';
import { ChapterList } from './views/chapter-list.js';
import { Help } from './views/help.js';
import { TopBar } from './views/top-bar.js';

export function App() {
  const { at } = useStore(place);
  const { announcement } = useStore(lab);
  const [help, setHelp] = useState(false);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <TopBar at={at} onHelp={() => setHelp(true)} />
      <div class="visually-hidden" aria-live="polite" role="status">
        {announcement}
      </div>
      {at.page === 'chapter' ? <ChapterPage key={at.chapter} id={at.chapter} /> : <ChapterList />}
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  );
}
