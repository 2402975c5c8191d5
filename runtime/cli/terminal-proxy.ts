/**
 * Between our terminal and the container's: bytes both ways, the window's size, raw mode while it lasts. Ours is put back as
 * it was, whatever happens. pty(7), termios(3).
 */
import { spawnSync } from 'node:child_process';
import { isatty, ReadStream } from 'node:tty';
import { native } from '../kernel/addon.js';
import { printNow } from './print.js';

/** The size of our terminal; undefined when we have none. */
export function windowSize(): { columns: number; rows: number } | undefined {
  const fd = [1, 0, 2].find((number) => isatty(number));
  return fd === undefined ? undefined : native.getWindowSize(fd);
}

export class TerminalProxy {
  readonly #master: ReadStream;
  readonly #fd: number;
  readonly #ended: Promise<void>;
  readonly #undo: (() => void)[] = [];

  /** Takes over the descriptor of the master. */
  constructor(fd: number, { input }: { readonly input: boolean }) {
    this.#fd = fd;
    // A file or a pipe gets lines as the program wrote them; our terminal needs both characters, and adds none (makeRaw).
    if (!isatty(1)) native.clearOnlcr(fd);
    // Duplex: a pty's master is read and written by the same descriptor.
    this.#master = new ReadStream(fd);
    this.#ended = new Promise((resolve) => this.#master.once('close', resolve));
    // EIO is how Linux says that nobody has the other end open any more: the end, not a failure.
    this.#master.on('error', () => this.#master.destroy());
    this.#master.on('data', (data: Buffer) => {
      // Nobody looks any more: the container's terminal hangs up, as ours would have.
      if (!printNow(1, data)) this.#master.destroy();
    });
    if (input) this.#passInput();
    this.#followWindow();
  }

  /** Resolves when all that the container wrote has been shown; after a second in any case. */
  async drained(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    // Before an immediate is run, what can be read is: also when this process has not run for as long.
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(() => setImmediate(resolve), 1000);
    });
    await Promise.race([this.#ended, limit]);
    clearTimeout(timer);
  }

  close(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
    this.#master.destroy();
  }

  #passInput(): void {
    const { stdin } = process;
    const raw = stdin.isTTY && !stdin.isRaw;
    const pass = (data: Buffer) => {
      // While the container does not read, we do not either.
      if (this.#master.destroyed || this.#master.write(data)) return;
      stdin.pause();
      this.#master.once('drain', () => stdin.resume());
    };
    const end = () => {
      if (this.#master.destroyed) return;
      // A terminal ends when it is closed: then the container's hangs up. A pipe or a file only has no more to say.
      if (stdin.isTTY) this.#master.destroy();
      else this.#master.write(Buffer.from([END_OF_FILE]));
    };
    // Never taken away: a closed terminal fails once more when it is to be put back as it was.
    stdin.on('error', end);
    if (raw) makeRaw(stdin);
    stdin.on('data', pass);
    stdin.on('end', end);
    // A listener alone does not start a stream that somebody has paused.
    stdin.resume();
    this.#undo.push(() => {
      stdin.off('data', pass);
      stdin.off('end', end);
      stdin.pause();
      if (raw) stdin.setRawMode(false);
    });
  }

  #followWindow(): void {
    const resize = () => {
      const size = windowSize();
      if (size && !this.#master.destroyed) native.setWindowSize(this.#fd, size.columns, size.rows);
    };
    resize();
    process.on('SIGWINCH', resize);
    this.#undo.push(() => process.off('SIGWINCH', resize));
  }
}

/**
 * Node's raw mode still turns each line feed that is written into two characters (ONLCR of termios(3)), which the container's
 * terminal has done already, or was told not to do. Node puts everything back with its own setRawMode(false).
 */
function makeRaw(stdin: typeof process.stdin): void {
  stdin.setRawMode(true);
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
}

/** Ctrl-D. */
const END_OF_FILE = 4;
