/**
 * Attaching a detached mount to a target, both by descriptor. Its attributes are set before, while nothing can see it; a
 * kernel without mount_setattr(2) (before Linux 5.12) can change attached mounts only, so there it is done after: nothing of
 * the container runs yet. move_mount(2).
 */
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_REC,
  MS_SLAVE,
} from './abi.js';
import { type Attributes, mountAt, setAttributes } from './attributes.js';
import { type Compilation, has } from './compilation.js';

export function attach(
  lane: LaneBuilder,
  mount: Slot<'fd'>,
  target: Slot<'fd'>,
  where: string,
  note = 'by descriptor on both sides',
): void {
  lane.move_mount(
    { from: mount, fromPath: '', to: target, toPath: '', flags: MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH },
    `attached to ${where}, ${note}`,
  );
}

/** Attaches a copy of a mount, with attributes of its own. */
export function attachWith(
  { features }: Compilation,
  lane: LaneBuilder,
  mount: Slot<'fd'>,
  target: Slot<'fd'>,
  where: string,
  attributes: readonly Attributes[],
  note?: string,
): void {
  if (features.mountSetattr) for (const each of attributes) setAttributes(features, lane, mount, each);
  attach(lane, mount, target, where, note);
  if (!features.mountSetattr) for (const each of attributes) setAttributes(features, lane, mount, each);
}

/**
 * MS_SHARED and so on, with MS_REC for the mounts below as well: one after the other, as a mount may be slave and shared. Of a
 * detached mount only with mount_setattr.
 */
export function setPropagation(
  { features }: Compilation,
  lane: LaneBuilder,
  mount: Slot<'fd'>,
  propagation: readonly number[],
): void {
  const why = 'which mount events it shares';
  for (const flag of propagation) {
    if (features.mountSetattr) {
      const flags = AT_EMPTY_PATH | (flag & MS_REC ? AT_RECURSIVE : 0);
      lane.mount_setattr(
        { dir: mount, path: '', flags, set: 0, clear: 0, propagation: flag & ~MS_REC, userns: 'none' },
        why,
      );
    } else {
      mountAt(lane, mount, { flags: flag }, why);
    }
  }
}

/**
 * Where the mounts of the host stay as they are, because the configuration lets mounts of the container reach them (`shared`) or because
 * they are in the same mount namespace, copies of them are their peers: what is mounted in one, or unmounted, is in the other.
 * What did not ask for that receives only.
 */
export function quiet(compilation: Compilation, lane: LaneBuilder, mount: Slot<'fd'>): void {
  if (sharesMounts(compilation) || !has(compilation, 'mount'))
    setPropagation(compilation, lane, mount, [MS_REC | MS_SLAVE]);
}

/** `rootfsPropagation` is shared: the mounts of the host are left as they are, since some volume is to pass mounts on to them. */
export function sharesMounts({ config }: Compilation): boolean {
  return /^r?shared$/.test(config.linux?.rootfsPropagation ?? '');
}
