/**
 * Folders for what is not finished, on the disk of the store, so that what gets finished is renamed to its place. The folder itself is locked for as long as its
 * process lives; what is not locked has been left by one that was killed. flock(2)
 */
import { randomBytes } from 'node:crypto';
import { fstatSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../kernel/addon.js';
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { tryLock } from '../../kernel/lock.js';
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
          if (isStill(lock.fd, path)) removeTreeAt(path);
        } finally {
          lock.close();
        }
      },
    };
  }
}

/** The lock of a folder that is there; undefined when somebody has it, or the folder is gone. */
export function lockFolder(path: string): OwnedFd | undefined {
  let folder: OwnedFd;
  try {
    folder = new OwnedFd(native.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  } catch (error) {
    if (error instanceof TareError && error.syscall?.errno === 'ENOENT') return undefined;
    throw error;
  }
  if (tryLock(folder.fd) && isStill(folder.fd, path)) return folder;
  folder.close();
  return undefined;
}

/** undefined when a collection was faster than the lock. */
function make(path: string): OwnedFd | undefined {
  try {
    mkdirSync(path, { mode: 0o700 });
    return lockFolder(path);
  } catch (error) {
    throw storeFailure(error, `${path} cannot be made`);
  }
}

function isStill(fd: number, path: string): boolean {
  const [open, named] = [fstatSync(fd), statSync(path, { throwIfNoEntry: false })];
  return named !== undefined && named.ino === open.ino && named.dev === open.dev;
}
