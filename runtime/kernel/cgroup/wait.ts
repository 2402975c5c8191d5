/**
 * Waiting for a state of a cgroup. The kernel tells of each change of `cgroup.events` and `memory.events` as of a modified file, so
 * version 2 is watched by inotify(7). Version 1 has no such files: there it is asked again, after ever longer pauses.
 * cgroup-v2.rst, "[Un]populated Notification".
 */
import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CgroupPlace } from './types.js';

/**
 * Waits until the condition holds; asks again each time `cgroup.events` changes.
 * @returns whether it holds; false after `waitMs`
 */
export async function untilEvent(place: CgroupPlace, holds: () => boolean, waitMs: number): Promise<boolean> {
  if (holds()) return true;
  let watcher: FSWatcher | undefined;
  try {
    watcher = watchFile(join(place.directory, 'cgroup.events'));
  } catch (error) {
    // This user has as many watches as a user may have.
    if (!['EMFILE', 'ENOSPC'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return untilAsked(holds, waitMs);
  }
  if (!watcher) return holds();
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<boolean>((resolve, reject) => {
      const ask = () => {
        if (holds()) resolve(true);
      };
      watcher.on('change', ask);
      watcher.on('error', reject);
      timer = setTimeout(() => resolve(holds()), waitMs);
      ask(); // it may have changed before it was watched
    });
  } finally {
    clearTimeout(timer);
    watcher.close();
  }
}

/** Waits until the condition holds, where nothing tells of a change. `again` is called before each further question. */
export async function untilAsked(holds: () => boolean, waitMs: number, again?: () => void): Promise<boolean> {
  const deadline = performance.now() + waitMs;
  for (let pause = 1; !holds(); pause = Math.min(pause * 2, 50)) {
    if (performance.now() >= deadline) return false;
    await sleep(pause);
    again?.();
  }
  return true;
}

/** Undefined when the file is not there. */
export function watchFile(path: string): FSWatcher | undefined {
  try {
    return watch(path);
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
