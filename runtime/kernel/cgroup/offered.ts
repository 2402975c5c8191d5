/**
 * Whether a kernel offers a file of a cgroup that is not made yet. It is looked for in cgroups that are there: our own, or one
 * on the way to the new one. But the root of version 2 has no limits, and any other cgroup only those of controllers that
 * are enabled for it; where none can tell, what the kernel says of itself does. cgroup-v2.rst, "Core Interface Files".
 */
import { join } from 'node:path';
import type { Setting } from './limits.js';
import { pathSteps } from './path.js';
import type { CgroupFiles, Hierarchy } from './types.js';

/** @param path of the new cgroup, checked */
export function isOffered(setting: Setting, hierarchy: Hierarchy, path: string, files: CgroupFiles): boolean {
  const { optional, file, controller } = setting;
  if (!optional) return true;
  const has = (directory: string) => files.read(join(directory, file)) !== undefined;
  if (hierarchy.version === 1) return has(hierarchy.own);
  const beside = [hierarchy.own, ...pathSteps(hierarchy, path)].filter(
    (directory) => directory !== hierarchy.mountPoint,
  );
  if (beside.some(has)) return true;
  const controllersOf = (directory: string) => (files.read(join(directory, 'cgroup.controllers')) ?? '').split(/\s+/);
  if (beside.some((directory) => controllersOf(directory).includes(controller))) return false;
  if ('with' in optional) return files.read(optional.with) !== undefined;
  return isAtLeast(files.read('/proc/sys/kernel/osrelease') ?? '', optional.since);
}

/** `6.1.0-18-amd64` is at least 5.14. */
function isAtLeast(release: string, [major, minor]: readonly [number, number]): boolean {
  const [first = 0, second = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return first > major || (first === major && second >= minor);
}
