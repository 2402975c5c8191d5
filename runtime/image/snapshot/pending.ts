/**
 * A layer that is being unpacked: a folder named by its chain id, whose lock (flock(2) on the folder itself) says that somebody
 * is at work. When the layer is whole the folder becomes the snapshot by rename(2); whose process has died, the kernel lets go of the lock, and the next who
 * wants the layer, or a collection, takes the folder. So there is no lock file to be left behind.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../../kernel/addon.js';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../kernel/constants/open.js';
import { isErrno } from '../../kernel/error.js';
import type { OwnedFd } from '../../kernel/fd.js';
import { tryLock } from '../../kernel/lock.js';
import { removeTreeAt } from '../../kernel/tree.js';
import { type Digest, splitDigest } from '../../oci/image/index.js';
import { entriesOf, openDirectory } from './tree.js';

/** As all folders of the store that are not finished are called: a collection takes those that nobody has locked. See store/scratch.ts. */
const PREFIX = 'folder-';

export class Pending implements Disposable {
  /** The folder, until it has been renamed. */
  readonly path: string;
  readonly #lock: OwnedFd;

  private constructor(path: string, lock: OwnedFd) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * The folder, empty and locked. Waits for whoever unpacks the same layer.
   * @returns undefined once the layer is there (`isThere`)
   */
  static async acquire(
    folder: string,
    chainId: Digest,
    isThere: () => boolean,
    { onWait, signal }: { onWait?: () => void; signal?: AbortSignal | undefined } = {},
  ): Promise<Pending | undefined> {
    const path = join(folder, `${PREFIX}${splitDigest(chainId).hex}`);
    for (let pause = 1, waits = false; ; pause = Math.min(pause * 2, 50)) {
      signal?.throwIfAborted();
      if (isThere()) return undefined;
      const lock = tryAcquire(path);
      if (lock) {
        // Somebody may have finished between the look and the lock.
        if (!isThere()) return new Pending(path, lock);
        discard(path, lock);
        return undefined;
      }
      if (!waits) onWait?.();
      waits = true;
      await sleep(pause, undefined, signal && { signal });
    }
  }

  get fd(): number {
    return this.#lock.fd;
  }

  /** Goes with all that is in it, unless it has been renamed to its place. */
  [Symbol.dispose](): void {
    if (this.#lock.isOpen) discard(this.path, this.#lock);
  }
}

/** Locks the folder of this name. Once it is locked it must still be the one of this name: the one who had it may have renamed or removed it. */
function tryAcquire(path: string): OwnedFd | undefined {
  const lock = openOrMake(path);
  try {
    if (lock && tryLock(lock.fd) && isStill(path, lock.fd)) {
      // What a process that was killed has left.
      for (const { name } of entriesOf(lock.fd)) removeTreeAt(join(path, name.toString()));
      return lock;
    }
  } catch (error) {
    lock?.close();
    throw error;
  }
  lock?.close();
  return undefined;
}

/** undefined when it was removed, or renamed, in between. */
function openOrMake(path: string): OwnedFd | undefined {
  try {
    native.mkdirat(AT_FDCWD, path, 0o700);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
  try {
    return openDirectory(AT_FDCWD, path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isStill(path: string, fd: number): boolean {
  const named = native.fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
  const locked = native.fstatat(fd, '', AT_EMPTY_PATH);
  return named !== null && named.ino === locked?.ino && named.dev === locked.dev;
}

function discard(path: string, lock: OwnedFd): void {
  try {
    if (isStill(path, lock.fd)) removeTreeAt(path);
  } finally {
    lock.close();
  }
}
