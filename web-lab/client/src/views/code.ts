/** The buttons of code blocks: copy, and type into the terminal. One listener for a whole text, given to its element. */
import { runInTerminal } from '../lab.js';

export function codeButtons(onTerminal: () => void): (event: MouseEvent) => void {
  return (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>('button[data-code]');
    const code = button?.closest('.code')?.querySelector('code')?.textContent;
    if (!button || code === undefined || code === null) return;
    if (button.dataset.code === 'run') {
      if (runInTerminal(code)) onTerminal();
      return;
    }
    void copy(button, code);
  };
}

async function copy(button: HTMLButtonElement, text: string): Promise<void> {
  let said = 'Copied';
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without permission the text is selected instead, ready for the browser's own copy.
    const code = button.closest('.code')?.querySelector('code');
    if (code) getSelection()?.selectAllChildren(code);
    said = 'Selected';
  }
  button.textContent = said;
  setTimeout(() => {
    button.textContent = 'Copy';
  }, 1500);
}
