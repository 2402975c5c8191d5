/** The bar on top: where one is, the theme, and the keys. */
import { Icon } from '../icons.js';
import { lab } from '../lab.js';
import { Link, type Place, shown } from '../router.js';
import { useStore } from '../store.js';
import { chooseTheme, type Theme, theme } from '../theme.js';

const NEXT: Readonly<Record<Theme, Theme>> = { system: 'light', light: 'dark', dark: 'system' };
const ICON = { system: 'contrast', light: 'sun', dark: 'moon' } as const;

export function TopBar({ at, onHelp }: { at: Place; onHelp: () => void }) {
  const { choice } = useStore(theme);
  return (
    <header class="top-bar">
      <Link href="/" class="brand">
        <span class="brand-mark">
          <Icon name="scales" />
        </span>
        Tare
      </Link>
      {at.page === 'chapter' && (
        <nav aria-label="Breadcrumb" class="crumbs">
          <Link href="/">Chapters</Link>
        </nav>
      )}
      {at.page === 'chapter' && <ChapterProgress id={at.chapter} />}
      <span class="spacer" />
      <button type="button" class="quiet" onClick={onHelp}>
        <Icon name="keyboard" />
        <span class="wide-only">Keys</span>
        <span class="visually-hidden narrow-only">Keys</span>
      </button>
      <button
        type="button"
        class="quiet theme-button"
        onClick={() => chooseTheme(NEXT[choice])}
        aria-label={`Theme: ${choice}. Change to ${NEXT[choice]}.`}
        title={`Theme: ${choice}`}
      >
        <Icon name={ICON[choice]} />
      </button>
    </header>
  );
}

/** Which chapter it is, and how many of its exercises are done: to be seen wherever one is in the lesson. */
function ChapterProgress({ id }: { id: string }) {
  const { chapter } = useStore(shown);
  const { progress } = useStore(lab);
  if (chapter?.id !== id) return null;
  const done = chapter.exercises.filter((exercise) => progress.exercises[exercise.id]?.done).length;
  return (
    <p class="bar-chapter wide-only">
      {chapter.number}. {chapter.title}
      <span class="pips" aria-hidden="true">
        {chapter.exercises.map((exercise) => (
          <span key={exercise.id} class={`pip ${progress.exercises[exercise.id]?.done ? 'full' : 'none'}`} />
        ))}
      </span>
      <span class="visually-hidden">
        {done} of {chapter.exercises.length} exercises done
      </span>
    </p>
  );
}
