/** The keys of `tare step`: one key, or a command that ends with enter, read from our terminal in raw mode. */
import { writeSync } from 'node:fs';
import { TareError } from '../kernel/error.js';

/** `next` one step; `to` a step of the inside lane; `end`. */
export type Answer = { readonly go: 'next' } | { readonly go: 'to'; readonly step: number } | { readonly go: 'end' };

const CTRL_C = '\x03';
const CTRL_D = '\x04';

export class KeyPrompt {
  readonly #input = process.stdin;

  constructor() {
    this.#input.setRawMode(true);
    this.#input.pause();
  }

  /** @throws TareError `usage` when the user wants to stop */
  async ask(): Promise<Answer> {
    for (;;) {
      const key = await this.#key();
      if (key === '\r' || key === '\n' || key === ' ') return { go: 'next' };
      if (key === 'c') return { go: 'end' };
      if (key === 'q' || key === CTRL_C || key === CTRL_D)
        throw new TareError('usage', 'stopped; everything is undone');
      if (key === 'b') {
        const step = Number(await this.#line('go on to step: '));
        if (Number.isInteger(step) && step > 0) return { go: 'to', step };
      }
    }
  }

  /** The terminal is as it was. Calling it again does nothing. */
  close(): void {
    if (this.#input.isRaw) this.#input.setRawMode(false);
    this.#input.pause();
  }

  #key(): Promise<string> {
    return new Promise((resolve) => {
      this.#input.resume();
      this.#input.once('data', (data: Buffer) => {
        this.#input.pause();
        // Keys typed ahead come together; the first counts, and the rest goes back.
        if (data.length > 1) this.#input.unshift(data.subarray(1));
        resolve(String.fromCharCode(data[0] ?? 0));
      });
    });
  }

  async #line(question: string): Promise<string> {
    writeSync(1, question);
    let text = '';
    for (;;) {
      const key = await this.#key();
      if (key === '\r' || key === '\n') break;
      if (key === CTRL_C) throw new TareError('usage', 'stopped; everything is undone');
      if (key === '\x7f') text = text.slice(0, -1);
      else if (/\d/.test(key)) text += key;
      writeSync(1, `\r\x1b[K${question}${text}`);
    }
    writeSync(1, '\n');
    return text;
  }
}
