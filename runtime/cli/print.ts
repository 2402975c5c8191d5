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

/**
 * A value for machines, which may be shown on a terminal all the same. JSON.stringify leaves the control characters above U+007E, and those that turn the
 * writing around, as they are: they are escaped (attack 31).
 */
export function json(value: unknown, indent = 2): string {
  return `${JSON.stringify(value ?? null, null, indent).replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, escaped)}\n`;
}

/** By UTF-16 units, as JSON has it. RFC 8259, section 7 */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** The pipe's reader has ended, or the terminal has been closed. */
export function isGone(error: unknown): boolean {
  return ['EPIPE', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Columns as wide as what is in them; the last one may be of any width. An image says how many rows there are: they are no arguments of a call. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widest = (column: number) => rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0);
  const widths = rows[0]?.slice(0, -1).map((_, column) => widest(column)) ?? [];
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}\n`).join('');
}
