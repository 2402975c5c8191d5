/**
 * Attaching a detached mount to a target, both by descriptor. Its attributes are set before, while nothing can see it; a
 * kernel without mount_setattr(2) (before Linux 5.12) can change attached mounts only, so there it is done after: nothing of
 * the container runs yet. move_mount(2).
 */
import { TareError } from '../../kernel/error.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import { AT_EMPTY_PATH, AT_RECURSIVE, MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH, MS_REC } from './abi.js';
import { type Attributes, setAttributes } from './attributes.js';
import type { Compilation } from './compilation.js';

export function attach(lane: LaneBuilder, mount: Slot<'fd'>, target: Slot<'fd'>, where: string): void {
  lane.move_mount(
    { from: mount, fromPath: '', to: target, toPath: '', flags: MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH },
    `attached to ${where}, by descriptor on both sides`,
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
): void {
  if (features.mountSetattr) for (const each of attributes) setAttributes(features, lane, mount, each);
  attach(lane, mount, target, where);
  if (!features.mountSetattr) for (const each of attributes) setAttributes(features, lane, mount, each);
}

/** MS_SHARED and so on, of an attached mount. */
export function setPropagation(
  { features }: Compilation,
  lane: LaneBuilder,
  mount: Slot<'fd'>,
  propagation: number,
): void {
  if (propagation === 0) return;
  if (!features.mountSetattr) {
    throw new TareError(
      'unsupported',
      'this kernel has no mount_setattr (Linux 5.12), which the propagation of a single mount needs',
    );
  }
  const flags = AT_EMPTY_PATH | (propagation & MS_REC ? AT_RECURSIVE : 0);
  lane.mount_setattr(
    { dir: mount, path: '', flags, set: 0, clear: 0, propagation: propagation & ~MS_REC, userns: 'none' },
    'which mount events it shares',
  );
}
