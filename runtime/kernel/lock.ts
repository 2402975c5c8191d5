/**
 * The lock of a directory: held by one process (or by one `DirectoryLock` in it) at a time. flock(2) on a file in it, so the kernel lets go of
 * it when the holder dies, however it dies. The file stays: removing it would let two holders lock two files of one name.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from './addon.js';
import { LOCK_EX, LOCK_NB, LOCK_SH } from './constants/lock.js';
import { O_CREAT, O_NOFOLLOW, O_RDWR } from './constants/open.js';
import { TareError } from './error.js';
import { OwnedFd } from './fd.js';

export interface LockOptions {
  /** Many may hold a shared lock, while nobody holds an exclusive one. */
  readonly shared?: boolean;
  /** How long to wait for another holder, in milliseconds; 0 unless told. */
  readonly waitMs?: number;
}

export class DirectoryLock implements Disposable {
  readonly #file: OwnedFd;

  private constructor(file: OwnedFd) {
    this.#file = file;
  }

  /**
   * Locks the directory, which must exist, by the file `lock` in it.
   * @throws TareError `busy` when another holds it all the time.
   */
  static async acquire(directory: string, { shared = false, waitMs = 0 }: LockOptions = {}): Promise<DirectoryLock> {
    const path = join(directory, 'lock');
    const file = new OwnedFd(native.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600));
    try {
      const deadline = performance.now() + waitMs;
      // flock(2) can wait too, but it would stop the event loop.
      for (let pause = 1; !tryLock(file.fd, { shared }); pause = Math.min(pause * 2, 50)) {
        if (performance.now() >= deadline)
          throw new TareError('busy', `${path} is locked by another process`, { path });
        await sleep(pause);
      }
      return new DirectoryLock(file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Lets go; again does nothing. */
  release(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Locks an open file, unless another holds it. The lock goes when the descriptor, and all its duplicates, are closed. */
export function tryLock(fd: number, { shared = false } = {}): boolean {
  try {
    native.flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
    return true;
  } catch (error) {
    if (error instanceof TareError && error.syscall?.errno === 'EAGAIN') return false;
    throw error;
  }
}
