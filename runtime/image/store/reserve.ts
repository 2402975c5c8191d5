/**
 * Room that is kept for a full disk: SQLite needs some to open its database, and so does who writes down that a name is gone. A file that has it is given up
 * when nothing else helps, and made again where there is room. https://www.sqlite.org/wal.html, "The WAL-Index" (32 KiB at least)
 */
import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isNoSpace, storeFailure } from './failures.js';

export const RESERVE_BYTES = 1 << 20;

/** Makes it, unless it is there, or the disk is full. */
export function keepReserve(root: string): void {
  const path = join(root, NAME);
  if (statSync(path, { throwIfNoEntry: false })) return;
  const temporary = join(root, `.${NAME}.${process.pid}`);
  try {
    // What no file system makes smaller.
    writeFileSync(temporary, randomBytes(RESERVE_BYTES), { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    if (!isNoSpace(storeFailure(error, path))) throw error;
  }
}

/** False when there is none. */
export function giveUpReserve(root: string): boolean {
  const path = join(root, NAME);
  const isThere = statSync(path, { throwIfNoEntry: false }) !== undefined;
  rmSync(path, { force: true });
  return isThere;
}

const NAME = 'reserve';
