/**
 * What a copy of the host's mount has from the beginning, where that must be known: without mount_setattr(2), a remount says all
 * attributes anew, and in a user namespace those of the host are locked, so it must repeat them. mount_namespaces(7).
 */
import { readFileSync, realpathSync } from 'node:fs';
import { mountOf } from '../../kernel/mountinfo.js';
import { type Compilation, has } from './compilation.js';
import { mountOptions } from './options.js';

/** MOUNT_ATTR_* of the mount that shows a path of the host; 0 where nobody needs to know. */
export function lockedAttributes(compilation: Compilation, path: string): number {
  if (compilation.features.mountSetattr || !has(compilation, 'user')) return 0;
  const mount = mountOf(readFileSync('/proc/self/mountinfo', 'utf8'), realpathSync(path));
  return mountOptions(mount?.options ?? []).set;
}
