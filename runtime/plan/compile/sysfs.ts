/**
 * sysfs where it may not be had: it shows network devices, so only who has rights over the network namespace may mount it. A user
 * namespace that keeps the host's network, or joins one, may have none; then it sees the host's mount of it, read-only.
 * user_namespaces(7), "Effect of capabilities within a user namespace".
 */
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_RECURSIVE,
  FSCONFIG_CMD_CREATE,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_RDONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from './abi.js';
import { quiet } from './attach.js';
import { setAttributes } from './attributes.js';
import { type Compilation, creates, has } from './compilation.js';

export function mayLackSysfs(compilation: Compilation): boolean {
  // Without mount_setattr a detached copy cannot be made read-only before it is attached.
  return has(compilation, 'user') && !creates(compilation, 'network') && compilation.features.mountSetattr;
}

/** A new sysfs; or, when the kernel says EPERM, a copy of the host's. */
export function sysfsOrHosts(compilation: Compilation, lane: LaneBuilder, attributes: number): Slot<'fd'> {
  const fs = lane.fsopen(
    { type: 'sysfs', flags: FSOPEN_CLOEXEC },
    {
      as: 'sysfs context',
      why: 'the kernel’s view of devices, if the network namespace allows it',
      tolerate: ['EPERM'],
    },
  );
  const own = lane.with({ if: fs });
  own.fsconfig({ fs, command: FSCONFIG_CMD_CREATE, key: '', value: '', aux: 0 }, 'it has no options');
  const made = own.fsmount(
    { fs, flags: FSMOUNT_CLOEXEC, attributes },
    { as: 'sysfs mount', why: 'a mount of it, with its attributes, attached nowhere yet' },
  );
  lane.open_tree(
    { dir: 'cwd', path: '/sys', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE },
    { into: made, unless: made, why: 'what the host has at /sys' },
  );
  const hosts = lane.with({ unless: fs });
  setAttributes(compilation.features, hosts, made, {
    set: attributes | MOUNT_ATTR_RDONLY,
    recursive: true,
    why: 'it is the host’s: read-only, with all that is mounted below',
  });
  quiet(compilation, hosts, made);
  own.close({ fd: fs }, 'the context has done its work');
  return made;
}
