/** Printing: a page of text, all of it, whatever standard output is; words at once; rows as a table. write(2), pipe(7). */
import { writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { TareError } from '../kernel/error.js';

/**
 * Writes to standard output, also into a pipe that takes less at a time; a reader that has gone wants no more.
 * @throws TareError `no-space` or `system-call`
 */
export async function print(text: string | Uint8Array): Promise<void> {
  const data = Buffer.from(text);
  for (let at = 0; at < data.length; ) {
    try {
      at += writeSync(1, data, at);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (isGone(error)) return;
      if (code !== 'EAGAIN')
        throw new TareError(
          code === 'ENOSPC' ? 'no-space' : 'system-call',
          `standard output cannot be written: ${message}`,
          { cause: error },
        );
      await setTimeout(2);
    }
  }
}

/** Writes before it returns. False when nobody reads any more. */
export function printNow(fd: number, text: string | Uint8Array): boolean {
  const data = Buffer.from(text);
  for (let at = 0; at < data.length; ) {
    try {
      at += writeSync(fd, data, at);
    } catch (error) {
      if (isGone(error)) return false;
      // Standard output is shared with others, who may have made it non-blocking; it is soon writable again.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
  return true;
}

/** What an image, a registry or a file said must not move the cursor, turn the writing around or pretend to be another line (attack 31). */
export function printable(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => {
    const code = c.codePointAt(0) as number;
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** The pipe's reader has ended, or the terminal has been closed. */
function isGone(error: unknown): boolean {
  return ['EPIPE', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Columns as wide as what is in them; the last one may be of any width. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths =
    rows[0]?.slice(0, -1).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}\n`).join('');
}
