/**
 * Whether a kernel offers a file of a cgroup that is not made yet. It is looked for in cgroups that are there: our own, or one
 * on the way to the new one. But a root has few of the files, and any other cgroup of version 2 only those of controllers that
 * are enabled for it; where none can tell, what the kernel says of itself does. cgroup-v2.rst, "Core Interface Files".
 */
import { join } from 'node:path';
import { pathSteps } from './path.js';
import type { Presence, Setting } from './setting.js';
import type { CgroupFiles, Hierarchy } from './types.js';

/** Controllers of version 1 whose files the root lacks (CFTYPE_NOT_ON_ROOT). */
const ROOT_LACKS = ['blkio', 'hugetlb'];

/** @param path of the new cgroup, checked */
export function isOffered(setting: Setting, hierarchy: Hierarchy, path: string, files: CgroupFiles): boolean {
  const { optional, file, controller } = setting;
  if (!optional) return true;
  const has = (directory: string) => files.read(join(directory, file)) !== undefined;
  const { version, mountPoint, own } = hierarchy;
  const beside = [own, ...pathSteps(hierarchy, path)].filter((directory) => directory !== mountPoint);
  if (beside.some(has)) return true;
  if (version === 1) {
    if (has(mountPoint)) return true;
    const isKnown = beside.some((directory) => files.isDirectory(directory));
    return !isKnown && ROOT_LACKS.includes(controller) && isPresent(optional, mountPoint, files);
  }
  const controllersOf = (directory: string) => (files.read(join(directory, 'cgroup.controllers')) ?? '').split(/\s+/);
  if (beside.some((directory) => controllersOf(directory).includes(controller))) return false;
  return isPresent(optional, mountPoint, files);
}

function isPresent(presence: Presence, mountPoint: string, files: CgroupFiles): boolean {
  if ('since' in presence) return isAtLeast(files.read('/proc/sys/kernel/osrelease') ?? '', presence.since);
  const path = 'with' in presence ? presence.with : join(mountPoint, presence.withRoot);
  return files.isDirectory(path) || files.read(path) !== undefined;
}

/** `6.1.0-18-amd64` is at least 5.14. */
function isAtLeast(release: string, [major, minor]: readonly [number, number]): boolean {
  const [first = 0, second = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return first > major || (first === major && second >= minor);
}
