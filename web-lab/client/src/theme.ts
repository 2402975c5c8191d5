/** Light, dark, or as the system has it. The choice lasts in localStorage and stands on the root element for the styles. */
import { Store } from './store.js';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'tare-theme';

export const theme = new Store<{ choice: Theme }>({ choice: remembered() });

export function startTheme(): void {
  apply(theme.get().choice);
}

export function chooseTheme(choice: Theme): void {
  theme.set({ choice });
  remember(choice);
  apply(choice);
}

function apply(choice: Theme): void {
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
}

function remembered(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    // Storage may be forbidden; then nothing is remembered.
    return 'system';
  }
}

function remember(choice: Theme): void {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // As above.
  }
}
