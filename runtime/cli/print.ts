/** Printing a page of text: all of it, whatever standard output is; and rows as a table. write(2), pipe(7). */
import { writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** Writes to standard output, also into a pipe that takes less at a time; a reader that has gone wants no more. */
export async function print(text: string | Uint8Array): Promise<void> {
  const data = Buffer.from(text);
  for (let at = 0; at < data.length; ) {
    try {
      at += writeSync(1, data, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') return;
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await setTimeout(2);
    }
  }
}

/** Columns as wide as what is in them; the last one may be of any width. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths =
    rows[0]?.slice(0, -1).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}\n`).join('');
}
