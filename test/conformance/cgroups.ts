/** Where a container's cgroup is on this machine, whichever version its controllers have. cgroups(7). */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const TOP = '/sys/fs/cgroup';

/** Of version 2 alone, as opposed to hierarchies of version 1 beside it. */
export const unified = existsSync(join(TOP, 'cgroup.controllers'));

/** The directory of the cgroup `path` for a controller; undefined where the machine does not have the controller. */
export function cgroupOf(controller: string, path: string): string | undefined {
  if (unified) return controllers().includes(controller) ? join(TOP, path) : undefined;
  return existsSync(join(TOP, controller)) ? join(TOP, controller, path) : undefined;
}

/** What a file of it holds, without the newline. */
export function contentOf(directory: string, file: string): string {
  return readFileSync(join(directory, file), 'utf8').trim();
}

function controllers(): string[] {
  return readFileSync(join(TOP, 'cgroup.controllers'), 'utf8').trim().split(' ');
}
