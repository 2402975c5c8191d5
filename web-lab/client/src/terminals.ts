/**
 * The terminals of the page: one xterm each, its bytes carried by the connection. What was drawn is acknowledged, which is
 * what lets the server hold back a program that prints faster than the page can draw. No view in here: the pane shows
 * `element`, says when it is visible, and the terminal fits itself to it.
 */
import { FitAddon } from '@xterm/addon-fit';
import { type ITheme, Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { ACKNOWLEDGE } from '../../protocol.js';

export interface TerminalWire {
  input(data: Uint8Array): void;
  acknowledge(bytes: number): void;
  resize(columns: number, rows: number): void;
}

/** Keys that the page keeps for itself while a terminal has the focus; see views/help.tsx. */
export const PAGE_KEYS = ['F6', 'F8'];

export class PageTerminal {
  readonly element = document.createElement('div');
  readonly #xterm: Terminal;
  readonly #fit = new FitAddon();
  readonly #observer = new ResizeObserver(() => this.fit());
  #wire: TerminalWire | undefined;
  #drawn = 0;

  constructor(label: string, screenReader: boolean) {
    this.element.className = 'xterm-host';
    this.#xterm = new Terminal({
      fontFamily: '"JetBrains Mono Variable", ui-monospace, "DejaVu Sans Mono", monospace',
      fontSize: 14,
      lineHeight: 1.25,
      scrollback: 5000,
      cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
      minimumContrastRatio: 4.5,
      theme: THEME,
      screenReaderMode: screenReader,
    });
    this.#xterm.loadAddon(this.#fit);
    this.#xterm.attachCustomKeyEventHandler(({ key }) => !PAGE_KEYS.includes(key));
    const encoder = new TextEncoder();
    this.#xterm.onData((text) => this.#wire?.input(encoder.encode(text)));
    this.#xterm.onBinary((text) => this.#wire?.input(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    this.#xterm.onResize(({ cols, rows }) => this.#wire?.resize(cols, rows));
    this.#observer.observe(this.element);
    this.label(label);
  }

  get columns(): number {
    return this.#xterm.cols;
  }

  get rows(): number {
    return this.#xterm.rows;
  }

  /** To be called once the element is in the document. */
  show(): void {
    if (!this.#xterm.element) this.#xterm.open(this.element);
    this.fit();
  }

  fit(): void {
    // Without a size (a hidden tab) there is nothing to fit to.
    if (this.element.clientWidth > 40 && this.element.clientHeight > 20 && this.#xterm.element) this.#fit.fit();
  }

  connect(wire: TerminalWire): void {
    this.#wire = wire;
    wire.resize(this.columns, this.rows);
  }

  disconnect(): void {
    this.#wire = undefined;
    this.#xterm.options.disableStdin = true;
    this.#xterm.options.cursorBlink = false;
  }

  output(data: Uint8Array): void {
    this.#xterm.write(data, () => {
      this.#drawn += data.length;
      if (this.#drawn < ACKNOWLEDGE / 2) return;
      this.#wire?.acknowledge(this.#drawn);
      this.#drawn = 0;
    });
  }

  /** Types text, as pasted: a shell that knows bracketed paste takes its lines as one. */
  type(text: string): void {
    this.#xterm.paste(text.trimEnd());
    this.#wire?.input(new TextEncoder().encode('\r'));
  }

  label(label: string): void {
    this.#xterm.textarea?.setAttribute('aria-label', label);
  }

  screenReader(on: boolean): void {
    this.#xterm.options.screenReaderMode = on;
  }

  focus(): void {
    this.#xterm.focus();
  }

  dispose(): void {
    this.#wire = undefined;
    this.#observer.disconnect();
    this.#xterm.dispose();
    this.element.remove();
  }
}

/** xterm measures its font when it opens, so the font must be there before. */
export async function terminalFont(): Promise<void> {
  await Promise.allSettled([
    document.fonts.load('14px "JetBrains Mono Variable"'),
    document.fonts.load('bold 14px "JetBrains Mono Variable"'),
  ]);
}

const THEME: ITheme = {
  background: '#121519',
  foreground: '#dfe3ea',
  cursor: '#5fd0bb',
  cursorAccent: '#121519',
  selectionBackground: '#2f5a63',
  black: '#2a2f38',
  red: '#f07f7f',
  green: '#7fcf95',
  yellow: '#e5c07b',
  blue: '#82aaf0',
  magenta: '#c99bea',
  cyan: '#6fd0d8',
  white: '#cfd5de',
  brightBlack: '#8892a2',
  brightRed: '#ff9c9c',
  brightGreen: '#9ee6b1',
  brightYellow: '#f5d899',
  brightBlue: '#a3c3ff',
  brightMagenta: '#dfbaf8',
  brightCyan: '#93e6ec',
  brightWhite: '#ffffff',
};
