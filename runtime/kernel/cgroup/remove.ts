/**
 * Removes cgroups of ours. Idempotent: the journal of a container may ask for it any number of times. Never anything but the
 * given directory and what is below it, and never a hierarchy's mount point. A cgroup is removed by rmdir alone (its files go
 * with it), which is EBUSY until the last process in it is gone.
 */
import { readdirSync, rmdirSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TareError } from '../error.js';
import type { CgroupPlace } from './types.js';

/** Removes all places of a container's cgroup. See `removeCgroup`. */
export async function removeCgroups(places: readonly CgroupPlace[], options?: { waitMs?: number }): Promise<void> {
  const failures: unknown[] = [];
  for (const { directory, mountPoint } of places) {
    await removeCgroup(directory, mountPoint, options).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

/**
 * Removes a cgroup and the cgroups within it, waiting up to `waitMs` (2 s) for processes that are just ending.
 * @throws TareError `busy` when processes stay in it; `internal` for a directory that is not below `mountPoint`.
 */
export async function removeCgroup(
  directory: string,
  mountPoint: string,
  options: { waitMs?: number } = {},
): Promise<void> {
  if (normalize(directory) !== directory || !directory.startsWith(`${mountPoint}/`) || directory.endsWith('/'))
    throw new TareError('internal', `${directory} is no cgroup below ${mountPoint}`, { path: directory });
  const deadline = performance.now() + (options.waitMs ?? 2000);
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    const failed = removeTree(directory);
    if (!failed) return;
    if (performance.now() >= deadline)
      throw new TareError('busy', `rmdir(${JSON.stringify(failed)}): EBUSY (the cgroup still has processes)`, {
        path: failed,
        syscall: { name: 'rmdir', args: JSON.stringify(failed), errno: 'EBUSY' },
      });
    await sleep(pause);
  }
}

/** Children first. Returns the directory that is busy, or undefined when all are gone. */
function removeTree(directory: string): string | undefined {
  for (const name of childrenOf(directory)) {
    const busy = removeTree(join(directory, name));
    if (busy) return busy;
  }
  try {
    rmdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return directory;
    if (code !== 'ENOENT') throw error;
  }
  return undefined;
}

function childrenOf(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    // ENODEV: removed by somebody else between open and read.
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
