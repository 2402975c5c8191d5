/**
 * Attributes of a mount (read-only, nosuid ...): mount_setattr(2) by descriptor since Linux 5.12. Before, a remount of
 * the attached mount, reached through /proc/self/fd so that no path of the root file system is walked a second time.
 */
import type { Features } from '../../kernel/features.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MS_BIND,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  MS_REMOUNT,
  MS_STRICTATIME,
} from './abi.js';

export interface Attributes {
  /** MOUNT_ATTR_* to set. */
  readonly set: number;
  /** MOUNT_ATTR_* to clear. */
  readonly clear?: number;
  /** Applies to the mounts below, too. */
  readonly recursive?: boolean;
  /** What the mount has already, where that is known: a remount must repeat what a user namespace may not take away. */
  readonly locked?: number;
  readonly why: string;
}

/** The number that a mount's descriptor gets for the moment in which it is named by a path. */
const MOUNT_FD = 900;

/**
 * Changes attributes of a mount: of any, with mount_setattr; of an attached one, without. There, attributes that are not in
 * `set` are cleared, and those of mounts below stay as they are.
 */
export function setAttributes(
  features: Pick<Features, 'mountSetattr'>,
  lane: LaneBuilder,
  mount: Slot<'fd'>,
  { set, clear = 0, recursive = false, locked = 0, why }: Attributes,
): void {
  if (set === 0 && clear === 0) return;
  if (features.mountSetattr) {
    const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    // The mode of access times is one field, which the kernel wants cleared as a whole before it is set.
    const cleared = set & MOUNT_ATTR__ATIME ? clear | MOUNT_ATTR__ATIME : clear;
    lane.mount_setattr({ dir: mount, path: '', flags, set, clear: cleared, propagation: 0, userns: 'none' }, why);
    return;
  }
  mountAt(
    lane,
    mount,
    { flags: MS_REMOUNT | MS_BIND | legacyFlags(set | (locked & ~clear), clear) },
    `${why} (this kernel has no mount_setattr)`,
  );
}

/** mount(2) of an attached mount that is held by a descriptor: no name of the root file system is resolved. */
export function mountAt(
  lane: LaneBuilder,
  mount: Slot<'fd'>,
  { flags, data = '' }: { readonly flags: number; readonly data?: string },
  why: string,
): void {
  lane.dup2({ fd: mount, number: MOUNT_FD }, 'a number to name it by');
  lane.mount({ source: 'none', target: `/proc/self/fd/${MOUNT_FD}`, type: 'none', flags, data }, why);
}

const LEGACY: readonly [attribute: number, flag: number][] = [
  [MOUNT_ATTR_RDONLY, MS_RDONLY],
  [MOUNT_ATTR_NOSUID, MS_NOSUID],
  [MOUNT_ATTR_NODEV, MS_NODEV],
  [MOUNT_ATTR_NOEXEC, MS_NOEXEC],
  [MOUNT_ATTR_NODIRATIME, MS_NODIRATIME],
  [MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW],
];

/** MOUNT_ATTR_* as MS_*. Without a mode of access times the kernel keeps the one that the mount has. */
export function legacyFlags(set: number, clear = 0): number {
  const known = { [MOUNT_ATTR_NOATIME]: MS_NOATIME, [MOUNT_ATTR_STRICTATIME]: MS_STRICTATIME }[set & MOUNT_ATTR__ATIME];
  const atime = known ?? (clear & MOUNT_ATTR__ATIME ? MS_RELATIME : 0);
  return LEGACY.reduce((flags, [attribute, flag]) => (set & attribute ? flags | flag : flags), atime);
}
