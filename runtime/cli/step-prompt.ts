/** The keys of `tare step`: one key, or a command that ends with enter, read from our terminal in raw mode. */
import { TareError } from '../kernel/error.js';
import { printNow } from './print.js';

/** `next` one step; `to` a step of the inside lane; `end`. */
export type Answer = { readonly go: 'next' } | { readonly go: 'to'; readonly step: number } | { readonly go: 'end' };

const CTRL_C = '\x03';
const CTRL_D = '\x04';

export class KeyPrompt {
  readonly #input = process.stdin;

  constructor() {
    // Never taken away: a closed terminal fails once more when it is to be put back as it was.
    this.#input.on('error', () => this.#input.destroy());
    this.#input.setRawMode(true);
    this.#input.pause();
  }

  /** @throws TareError `usage` when the user wants to stop */
  async ask(): Promise<Answer> {
    for (;;) {
      const key = await this.#key();
      if (key === '\r' || key === '\n' || key === ' ') return { go: 'next' };
      if (key === 'c') return { go: 'end' };
      if (key === 'q' || key === CTRL_C || key === CTRL_D) throw stopped();
      if (key === 'b') return { go: 'to', step: Number(await this.#line('go on to step: ')) };
    }
  }

  /** The terminal is as it was. Calling it again does nothing. */
  close(): void {
    if (this.#input.isRaw) this.#input.setRawMode(false);
    this.#input.pause();
  }

  #key(): Promise<string> {
    return new Promise((resolve, reject) => {
      const closed = () => reject(stopped());
      if (this.#input.destroyed || this.#input.readableEnded) return closed();
      this.#input.once('close', closed).once('end', closed);
      this.#input.once('data', (data: Buffer) => {
        this.#input.off('close', closed).off('end', closed).pause();
        // Keys typed ahead come together; the first counts, and the rest goes back.
        if (data.length > 1) this.#input.unshift(data.subarray(1));
        resolve(String.fromCharCode(data[0] ?? 0));
      });
      this.#input.resume();
    });
  }

  async #line(question: string): Promise<string> {
    printNow(1, question);
    let text = '';
    for (;;) {
      const key = await this.#key();
      if (key === '\r' || key === '\n') break;
      if (key === CTRL_C) throw stopped();
      if (key === '\x7f') text = text.slice(0, -1);
      else if (/\d/.test(key)) text += key;
      printNow(1, `\r\x1b[K${question}${text}`);
    }
    printNow(1, '\n');
    return text;
  }
}

function stopped(): TareError {
  return new TareError('usage', 'stopped; everything is undone');
}
