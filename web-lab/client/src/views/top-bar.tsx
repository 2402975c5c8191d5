/** The bar on top: where one is, the theme, and the keys. */
import { Icon } from '../icons.js';
import { Link, type Place } from '../router.js';
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
