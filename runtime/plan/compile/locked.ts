/**
 * Which attributes a bind mount gets, and which it may not lose. As with runc: when an attribute is named, those that are not named
 * are off, but for the mode of access times; in a user namespace what the host's mount has is locked and stays, and an option that
 * wants it off is an error. mount_namespaces(7), "Restrictions on mount namespaces".
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { mountOf } from '../../kernel/mountinfo.js';
import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
} from './abi.js';
import { type Compilation, has } from './compilation.js';
import { type MountOptions, mountOptions } from './options.js';

export interface BindChange {
  /** MOUNT_ATTR_* to set. */
  readonly set: number;
  /** And to clear. */
  readonly clear: number;
}

const LOCKABLE = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
const ATIME = MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME;

/** What a bind mount's options change of the attributes that its source has. */
export function bindChange({ set, clear, atime, asked }: MountOptions, userNamespace: boolean): BindChange {
  if (!asked) return { set: 0, clear: 0 };
  const unnamed = userNamespace ? MOUNT_ATTR_NOSYMFOLLOW : LOCKABLE | MOUNT_ATTR_NOSYMFOLLOW;
  // Without a word about access times they stay as they are, also where one is switched off that is not on.
  const named = atime !== undefined || (set & MOUNT_ATTR_NODIRATIME) !== 0;
  return { set, clear: ((unnamed | (clear & LOCKABLE)) & ~set) | (named ? ATIME & ~(set & MOUNT_ATTR_NODIRATIME) : 0) };
}

/** Made outside it could be had, but not inside, where other runtimes make it. @throws TareError `config` */
export function checkLocked(options: MountOptions, source: string, destination: string): void {
  if ((attributesOfHost(source) & options.clear & LOCKABLE) === 0) return;
  throw new TareError(
    'config',
    `config.json: the mount at ${destination} is to lift a restriction that ${source} has on the host, which is an operation not permitted in a user namespace`,
  );
}

/** MOUNT_ATTR_* of the mount that shows a path of the host, for a remount that must repeat them; 0 where nobody needs to know. */
export function lockedAttributes(compilation: Compilation, path: string): number {
  return compilation.features.mountSetattr || !has(compilation, 'user') ? 0 : attributesOfHost(path);
}

/** Without those of access times: a remount that names none keeps what there is. */
export function attributesOfHost(path: string): number {
  const mount = mountOf(readFileSync('/proc/self/mountinfo', 'utf8'), realpathSync(existing(path)));
  return mountOptions(mount?.options ?? []).set & LOCKABLE;
}

/** A container's own folder is made with it, on the mount that the folder above is on. */
function existing(path: string): string {
  return path === '/' || existsSync(path) ? path : existing(dirname(path));
}
