/**
 * Folders that RUNs keep from one build to the next: `--mount=type=cache`. Each is known by its id, and locked while it is used: together with others
 * (shared), alone (locked), or, where another has it, in a copy of the folder's own (private). https://docs.docker.com/reference/dockerfile/#run---mounttypecache
 */
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TareError } from '../../kernel/error.js';
import { makeFolders } from '../../kernel/files.js';
import { DirectoryLock } from '../../kernel/lock.js';
import { removeTreeAt } from '../../kernel/tree.js';

export type Sharing = 'shared' | 'private' | 'locked';

export interface CacheFolder extends Disposable {
  /** Absolute. */
  readonly path: string;
}

export interface CacheFolderOptions {
  readonly id: string;
  readonly sharing: Sharing;
  /** Of a new one; 0755 and root unless told. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Makes a new one, with what it begins with. */
  readonly fill?: (path: string) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** Below the root of the store. */
const FOLDER = 'build-cache/mounts';
const DATA = 'data';

/** The folder of the id, which is made where there is none. Waits as `sharing` says. @throws the signal's reason */
export async function openCacheFolder(root: string, options: CacheFolderOptions): Promise<CacheFolder> {
  const { id, sharing, signal } = options;
  const name = createHash('sha256').update(id).digest('hex').slice(0, 32);
  for (let copy = 0, pause = 1; ; pause = Math.min(pause * 2, 100)) {
    signal?.throwIfAborted();
    const folder = join(root, FOLDER, copy === 0 ? name : `${name}-${copy}`);
    makeFolders(folder);
    const lock = await tryAcquire(folder, options);
    if (lock) {
      utimesSync(folder, new Date(), new Date());
      return { path: join(folder, DATA), [Symbol.dispose]: () => lock.release() };
    }
    if (sharing === 'private') copy++;
    else await sleep(pause, undefined, { signal });
  }
}

/** Removes those that nobody uses just now, and nobody has used since. @param before in milliseconds since 1970 */
export async function pruneCacheFolders(root: string, before: number): Promise<void> {
  const mounts = join(root, FOLDER);
  for (const name of existsSync(mounts) ? readdirSync(mounts) : []) {
    const folder = join(mounts, name);
    const lock = await acquire(folder, false);
    if (!lock) continue;
    using _lock = lock;
    if (statSync(folder).mtimeMs < before) removeTreeAt(folder);
  }
}

/** A new folder is made under the lock that nobody else has. */
async function tryAcquire(folder: string, options: CacheFolderOptions): Promise<DirectoryLock | undefined> {
  const shared = options.sharing === 'shared';
  const data = join(folder, DATA);
  const lock = await acquire(folder, shared && existsSync(data));
  // A prune may have been faster than the lock: what we hold then is the lock of nothing.
  if (!lock || existsSync(data)) return lock;
  if (!existsSync(join(folder, 'lock'))) {
    lock.release();
    return undefined;
  }
  try {
    const fresh = join(folder, 'new');
    removeTreeAt(fresh);
    if (options.fill) await options.fill(fresh);
    else mkdirSync(fresh);
    chownSync(fresh, options.uid ?? 0, options.gid ?? 0);
    chmodSync(fresh, options.mode ?? 0o755);
    renameSync(fresh, data);
  } catch (error) {
    lock.release();
    throw error;
  }
  if (!shared) return lock;
  // To be had together from now on.
  lock.release();
  return undefined;
}

async function acquire(folder: string, shared: boolean): Promise<DirectoryLock | undefined> {
  try {
    return await DirectoryLock.acquire(folder, { shared });
  } catch (error) {
    if (error instanceof TareError && (error.code === 'busy' || error.syscall?.errno === 'ENOENT')) return undefined;
    throw error;
  }
}
