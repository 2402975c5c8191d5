/**
 * Folders for what is not finished, on the disk of the store, so that what gets finished is renamed to its place. The folder itself is locked for as long as its
 * process lives; what is not locked has been left by one that was killed. flock(2)
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { O_DIRECTORY } from '../../kernel/constants/open.js';
import type { OwnedFd } from '../../kernel/fd.js';
import { isStillNamed, lockNamed } from '../../kernel/lock.js';
import { removeTreeAt } from '../../kernel/tree.js';
import { storeFailure } from './failures.js';

export interface Scratch extends AsyncDisposable {
  /** Absolute; mode 0700. */
  readonly path: string;
}

export async function makeScratch(parent: string): Promise<Scratch> {
  for (;;) {
    const path = join(parent, `folder-${randomBytes(8).toString('hex')}`);
    const lock = make(path);
    if (!lock) continue;
    return {
      path,
      async [Symbol.asyncDispose]() {
        if (!lock.isOpen) return;
        try {
          // Only if it is still that folder: renamed, it is somebody's.
          if (isStillNamed(path, lock.fd)) removeTreeAt(path);
        } finally {
          lock.close();
        }
      },
    };
  }
}

/** undefined when a collection was faster than the lock. */
function make(path: string): OwnedFd | undefined {
  try {
    mkdirSync(path, { mode: 0o700 });
    return lockNamed(path, O_DIRECTORY);
  } catch (error) {
    throw storeFailure(error, `${path} cannot be made`);
  }
}
