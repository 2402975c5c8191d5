/**
 * Which cgroup hierarchies this machine has, where they are mounted, and in which of their cgroups we are. Found from
 * /proc/self/mountinfo and /proc/self/cgroup, never from a guess about /sys/fs/cgroup. cgroups(7).
 */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type MountInfo, parseMountInfo } from '../mountinfo.js';
import type { CgroupFiles, CgroupHost, CgroupLayout, Hierarchy } from './types.js';

/**
 * Reads the hierarchies as this process sees them. A machine without any mounted has layout `none`.
 * @param pid whose cgroup is the `own` of each hierarchy: this process's unless told
 */
export function detectCgroups(files: CgroupFiles = realCgroupFiles, pid: number | 'self' = 'self'): CgroupHost {
  const mounts = parseMountInfo(files.read('/proc/self/mountinfo') ?? '');
  const own = parseOwn(files.read(`/proc/${pid}/cgroup`) ?? '');
  const hierarchies: Hierarchy[] = [];
  for (const mount of mounts) {
    const hierarchy = asHierarchy(mount, own, files);
    // A hierarchy may be mounted more than once; the first of them is the host's own.
    if (hierarchy && !hierarchies.some((known) => sameHierarchy(known, hierarchy))) hierarchies.push(hierarchy);
  }
  return { layout: layoutOf(hierarchies), hierarchies };
}

export const realCgroupFiles: CgroupFiles = {
  read(path) {
    if (!existsSync(path)) return undefined; // most questions end here, and an exception would cost more
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ENODEV', 'EOPNOTSUPP', 'ESRCH'].includes(code)) return undefined;
      throw error;
    }
  },
  isWritable(path) {
    try {
      accessSync(path, constants.W_OK);
      return true;
    } catch (error) {
      if (['EACCES', 'EPERM', 'EROFS', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw error;
    }
  },
  isDirectory: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
};

/** `8:pids:/docker/x` and `0::/user.slice`: by the set of controllers, which is empty for version 2. */
function parseOwn(text: string): ReadonlyMap<string, string> {
  const own = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) own.set(key(match[1].split(',')), match[2]);
  }
  return own;
}

function asHierarchy(mount: MountInfo, own: ReadonlyMap<string, string>, files: CgroupFiles): Hierarchy | undefined {
  const place = (path: string | undefined) => ownDirectory(mount, path ?? '/');
  if (mount.fsType === 'cgroup2') {
    const controllers = files.read(join(mount.mountPoint, 'cgroup.controllers')) ?? '';
    return {
      version: 2,
      controllers: controllers.split(/\s+/).filter(Boolean),
      mountPoint: mount.mountPoint,
      own: place(own.get('')),
    };
  }
  if (mount.fsType !== 'cgroup') return undefined;
  // The controllers stand among the options of the file system, beside rw, xattr, release_agent=...
  for (const [controllers, path] of own) {
    const names = controllers.split(',');
    if (controllers !== '' && names.every((name) => mount.superOptions.includes(name)))
      return { version: 1, controllers: names, mountPoint: mount.mountPoint, own: place(path) };
  }
  return undefined;
}

/**
 * Our own cgroup's directory. Without a cgroup namespace, the mount may show only a part of the hierarchy (in a container of
 * Docker on version 1: root `/docker/ID`), of which /proc/self/cgroup names the whole path.
 */
function ownDirectory(mount: MountInfo, path: string): string {
  if (path.split('/').includes('..')) return mount.mountPoint;
  if (mount.root.startsWith('/..')) return mount.mountPoint;
  const root = mount.root === '/' ? '' : mount.root;
  if (path !== root && !path.startsWith(`${root}/`)) return mount.mountPoint;
  const below = path.slice(root.length).replace(/\/+$/, '');
  return below === '' ? mount.mountPoint : join(mount.mountPoint, below);
}

function layoutOf(hierarchies: readonly Hierarchy[]): CgroupLayout {
  const first = hierarchies.some((hierarchy) => hierarchy.version === 1);
  const second = hierarchies.some((hierarchy) => hierarchy.version === 2);
  if (first) return second ? 'hybrid' : 'v1';
  return second ? 'v2' : 'none';
}

function sameHierarchy(a: Hierarchy, b: Hierarchy): boolean {
  return a.version === b.version && (a.version === 2 || key(a.controllers) === key(b.controllers));
}

function key(controllers: readonly string[]): string {
  return [...controllers].sort().join(',');
}
