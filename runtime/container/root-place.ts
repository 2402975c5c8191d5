/**
 * Where the root of a container is mounted that has no mount namespace of its own: `<state root>/.roots/<id>`. It is apart from the
 * state directory, so that whoever removes that never finds a mounted root file system in it; it is only ever unmounted, and
 * removed as the empty folder that it is then.
 */
import { mkdirSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../kernel/constants/mount.js';
import { TareError } from '../kernel/error.js';
import { PlanBuilder, runPlan } from '../plan/index.js';

/** @param directory the path of the state directory */
export function rootPlace(directory: string, id: string): string {
  return join(dirname(directory), '.roots', id);
}

export function makeRootPlace(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/**
 * Any number of times. A process that was killed just now may still be attaching the root: nothing can be attached to the place any
 * more when it is gone.
 */
export async function removeRootPlace(path: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    await unmount(path);
    if (removeEmpty(path)) break;
    if (tries === MOST_TRIES) throw new TareError('busy', `${path} is still a mount point`, { path });
    await sleep(PAUSE_MS);
  }
  removeEmpty(dirname(path));
}

const MOST_TRIES = 100;
const PAUSE_MS = 20;

async function unmount(path: string): Promise<void> {
  const builder = new PlanBuilder();
  builder.outside.umount2(
    { target: path, flags: MNT_DETACH | UMOUNT_NOFOLLOW },
    { why: 'the root, with all that is mounted below it', tolerate: ['EINVAL', 'ENOENT'] },
  );
  builder.outside.exit({ status: 0 });
  await runPlan(builder.build()).exited;
}

/** False when something is mounted there, or lies in it: the folder of all places stays while another container has one. */
function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
    throw error;
  }
}
