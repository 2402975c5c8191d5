/** What a terminal shows, read from its master as it comes. pty(7): once the last holder of the other side has gone, reading gives EIO. */
import { readSync } from 'node:fs';
import { native } from '../../runtime/kernel/addon.js';
import type { Watcher } from '../../runtime/kernel/native.js';
import { until } from './until.js';

const READABLE = 1;

export class Screen {
  shown = '';
  hungUp = false;
  readonly #watcher: Watcher;

  /** The master stays the caller's, who closes this first. */
  constructor(readonly master: number) {
    this.#watcher = native.watch(master, READABLE, () => this.#read());
    this.#watcher.unref();
  }

  /** Waits until it shows `text`, and gives all that it has shown. */
  async shows(text: string): Promise<string> {
    await until(() => this.shown.includes(text), `the terminal shows ${JSON.stringify(text)}`);
    return this.shown;
  }

  close(): void {
    this.#watcher.close();
  }

  #read(): void {
    const bytes = Buffer.alloc(4096);
    try {
      this.shown += bytes.toString('utf8', 0, readSync(this.master, bytes));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return;
      if (code !== 'EIO') throw error;
      this.hungUp = true;
      this.close();
    }
  }
}
