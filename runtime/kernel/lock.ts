/**
 * Locks that end with who holds them. The lock of a directory: held by one process (or by one `DirectoryLock` in it) at a time. flock(2) on a file in it, so the kernel lets go of
 * it when the holder dies, however it dies. The file stays: removing it would let two holders lock two files of one name.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from './addon.js';
import { LOCK_EX, LOCK_NB, LOCK_SH } from './constants/lock.js';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
} from './constants/open.js';
import { isErrno, TareError } from './error.js';
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

/**
 * Locks what a path names: a file or a folder that its holder may rename or remove. Once it is locked it must still be what the path names,
 * since whoever held it before may have done so; else two would hold two of one name.
 * @param flags of open(2): O_CREAT makes a file, O_DIRECTORY takes a folder; a symbolic link is not followed
 * @returns undefined when somebody has it, or nothing is there
 */
export function lockNamed(path: string, flags: number = O_RDONLY): OwnedFd | undefined {
  let file: OwnedFd;
  try {
    file = new OwnedFd(native.open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0o600));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    if (tryLock(file.fd) && isStillNamed(path, file.fd)) return file;
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return undefined;
}

/** Whether the path still names what is open. */
export function isStillNamed(path: string, fd: number): boolean {
  const named = native.fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
  const open = native.fstatat(fd, '', AT_EMPTY_PATH);
  return named !== null && named.ino === open?.ino && named.dev === open.dev;
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
