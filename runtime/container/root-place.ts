/**
 * Where the root of a container is mounted that has no mount namespace of its own: `<state root>/.roots/<id>`. It is apart from the
 * state directory, so that whoever removes that never finds a mounted root file system in it; it is only ever unmounted, and
 * removed as the empty folder that it is then.
 */
import { mkdirSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MNT_DETACH, UMOUNT_NOFOLLOW } from '../kernel/constants/mount.js';
import { PlanBuilder, runPlan } from '../plan/index.js';

/** @param directory the path of the state directory */
export function rootPlace(directory: string, id: string): string {
  return join(dirname(directory), '.roots', id);
}

export function makeRootPlace(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Any number of times. */
export async function removeRootPlace(path: string): Promise<void> {
  const builder = new PlanBuilder();
  builder.outside.umount2(
    { target: path, flags: MNT_DETACH | UMOUNT_NOFOLLOW },
    { why: 'the root, with all that is mounted below it', tolerate: ['EINVAL', 'ENOENT'] },
  );
  builder.outside.exit({ status: 0 });
  await runPlan(builder.build()).exited;
  for (const folder of [path, dirname(path)]) removeEmpty(folder);
}

/** The folder of all places stays while another container has one. */
function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
