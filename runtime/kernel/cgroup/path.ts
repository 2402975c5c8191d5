/**
 * The grammar of a cgroup's path, and where it lies in a hierarchy. A path with `..` would reach cgroups that are not ours
 * (attack 13: `cgroupsPath` and `exec --cgroup`), so it is refused rather than normalised. runtime-spec: config-linux.md, Cgroups Path.
 */
import { join } from 'node:path';
import { TareError } from '../error.js';
import type { Hierarchy } from './types.js';

/**
 * Checks a `cgroupsPath` and returns it without doubled or trailing slashes.
 * @throws TareError `config` with path `linux.cgroupsPath`.
 */
export function checkCgroupPath(path: string): string {
  const refuse = (why: string): never => {
    throw new TareError('config', `the cgroup path ${JSON.stringify(path)} ${why}`, { path: 'linux.cgroupsPath' });
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\0-\x1f\x7f]/.test(path)) refuse('has a control character');
  if (/^[^/]*\.slice:/.test(path)) refuse('is systemd’s form slice:prefix:name; give a plain path, such as /tare/name');
  const parts = path.split('/').filter((part) => part !== '');
  if (parts.length === 0) refuse('names no cgroup of its own');
  if (parts.some((part) => part === '..' || part === '.')) refuse('has a component "." or ".."');
  if (parts.some((part) => Buffer.byteLength(part) > 255)) refuse('has a component of more than 255 bytes');
  if (Buffer.byteLength(path) > 2048) refuse('is longer than 2048 bytes');
  return (path.startsWith('/') ? '/' : '') + parts.join('/');
}

/** The directory of a checked path in a hierarchy: absolute below its mount point, relative below our own cgroup. */
export function directoryIn(hierarchy: Hierarchy, checked: string): string {
  return join(stepBase(hierarchy, checked), checked);
}

/** The directories from just below the base down to the cgroup itself: parents first. */
export function pathSteps(hierarchy: Hierarchy, checked: string): string[] {
  const parts = checked.split('/').filter((part) => part !== '');
  return parts.map((_, i) => join(stepBase(hierarchy, checked), ...parts.slice(0, i + 1)));
}

/** The cgroup that a checked path begins at, which is there already. */
export function stepBase(hierarchy: Hierarchy, checked: string): string {
  return checked.startsWith('/') ? hierarchy.mountPoint : hierarchy.own;
}
