/**
 * A layer that is being unpacked: a folder named by its chain id, whose lock (flock(2) on the folder itself) says that somebody
 * is at work. When the layer is whole the folder becomes the snapshot by rename(2); whose process has died, the kernel lets go of the lock, and the next who
 * wants the layer, or a collection, takes the folder. So there is no lock file to be left behind.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../../kernel/addon.js';
import { AT_FDCWD, O_DIRECTORY } from '../../kernel/constants/open.js';
import { isErrno } from '../../kernel/error.js';
import type { OwnedFd } from '../../kernel/fd.js';
import { entriesOf } from '../../kernel/folder.js';
import { isStillNamed, lockNamed } from '../../kernel/lock.js';
import { removeTree, removeTreeAt } from '../../kernel/tree.js';
import { type Digest, splitDigest } from '../../oci/image/index.js';

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

/** undefined when somebody has it, or has removed or renamed it in between. */
function tryAcquire(path: string): OwnedFd | undefined {
  try {
    native.mkdirat(AT_FDCWD, path, 0o700);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
  const lock = lockNamed(path, O_DIRECTORY);
  try {
    // What a process that was killed has left.
    if (lock) for (const { name } of [...entriesOf(lock.fd)]) removeTree(lock.fd, name);
    return lock;
  } catch (error) {
    lock?.close();
    throw error;
  }
}

function discard(path: string, lock: OwnedFd): void {
  try {
    if (isStillNamed(path, lock.fd)) removeTreeAt(path);
  } finally {
    lock.close();
  }
}
