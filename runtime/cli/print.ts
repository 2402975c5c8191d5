/** Printing a page of text: all of it, whatever standard output is. write(2), pipe(7). */
import { writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** Writes to standard output, also into a pipe that takes less at a time; a reader that has gone wants no more. */
export async function print(text: string): Promise<void> {
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
