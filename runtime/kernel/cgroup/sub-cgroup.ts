/**
 * The cgroups that another process of a container joins (`exec`): the container's own, the one its first process has moved to, or
 * one below that `exec --cgroup [CONTROLLERS:]PATH` names. A path can never leave the container's cgroup (attack 13).
 */
import { join } from 'node:path';
import { TareError } from '../error.js';
import { detectCgroups, realCgroupFiles } from './detect.js';
import { readIfThere } from './files.js';
import type { CgroupPlace } from './types.js';

/**
 * Where a process joins that is told nothing. A cgroup of version 2 that has enabled controllers for its children takes no process
 * itself (EBUSY): systemd in a container, for example, moves itself into one below, and the new process follows it there.
 * @param init the container's first process
 */
export function cgroupsToJoin(places: readonly CgroupPlace[], init: number): CgroupPlace[] {
  return places.map((place) => {
    if (place.version === 1 || takesProcesses(place.directory)) return place;
    const own = detectCgroups(realCgroupFiles, init).hierarchies.find(
      ({ mountPoint }) => mountPoint === place.mountPoint,
    );
    // One that our cgroup namespace does not show would be taken for the root.
    return own && own.own !== own.mountPoint ? { ...place, directory: own.own } : place;
  });
}

/**
 * Where a process joins that is told so by `--cgroup`, which may be given several times on version 1.
 * @throws TareError `usage` for what is no such argument or leaves the container's cgroup, `not-found` for what is not there
 */
export function subCgroup(places: readonly CgroupPlace[], given: string | readonly string[]): CgroupPlace[] {
  const paths = parse(typeof given === 'string' ? [given] : given);
  for (const name of paths.keys())
    if (name !== '' && !places.some(({ controllers }) => controllers.includes(name)))
      throw new TareError('usage', `unknown controller ${name} in --cgroup: the container has no cgroup of it`);
  return places.map((place) => {
    const named = place.controllers.find((name) => paths.has(name));
    const path = paths.get(named ?? '');
    if (path === undefined) return place;
    const directory = below(place.directory, path);
    if (!realCgroupFiles.isDirectory(directory))
      throw new TareError('not-found', `error adding pid to cgroup ${directory}: no such file or directory`, {
        path: directory,
      });
    return { ...place, directory };
  });
}

/** By controller; '' stands for all of them. */
function parse(given: readonly string[]): Map<string, string> {
  const paths = new Map<string, string>();
  for (const argument of given) {
    const at = argument.indexOf(':');
    if (at < 0 && given.length > 1)
      throw new TareError('usage', `invalid --cgroup argument: ${argument} (missing <controller>: prefix)`);
    for (const name of at < 0 ? [''] : argument.slice(0, at).split(',')) {
      if (at >= 0 && name === '')
        throw new TareError('usage', `invalid --cgroup argument: ${argument} (empty <controller> prefix)`);
      if (paths.has(name))
        throw new TareError('usage', `invalid --cgroup argument(s): controller ${name} specified multiple times`);
      paths.set(name, argument.slice(at + 1));
    }
  }
  return paths;
}

/** `/` is the container's cgroup itself. What has `..` is refused, also where it would come back: nobody needs it. */
function below(directory: string, path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (parts.includes('..') || /[\0-\x1f\x7f]/.test(path))
    throw new TareError('usage', `bad sub cgroup path: ${JSON.stringify(path)}`);
  return join(directory, ...parts);
}

function takesProcesses(directory: string): boolean {
  const enabled = readIfThere(directory, 'cgroup.subtree_control');
  return enabled !== undefined && enabled.trim() === '';
}
