/**
 * A container without a mount namespace of its own: what is mounted for it is mounted in the namespace of who makes it. So its root is a copy
 * of the mounts at root.path, attached to a place of Tare's own and entered by chroot(2): nothing is ever mounted over a folder of the
 * host, and one lazy unmount of that place, which the journal has, undoes all. Who has CAP_SYS_CHROOT in there can leave it.
 */
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MS_PRIVATE,
  MS_REC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from './abi.js';
import { attach, setPropagation } from './attach.js';
import type { Compilation } from './compilation.js';

/** Given: the place of the root, an empty folder. */
export const ROOT_PLACE = 'root place';

export function attachSharedRoot(compilation: Compilation): Slot<'fd'> {
  const { builder, bundle } = compilation;
  const place = builder.given(ROOT_PLACE);
  const inside = builder.inside.for('root.path');
  const source = inside.openat2(
    { dir: 'cwd', path: bundle.rootfs, flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'rootfs source', why: 'the path is looked up once; from here on the root is a descriptor' },
  );
  const rootfs = inside.open_tree(
    { dir: source, path: '', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE },
    { as: 'rootfs', why: 'a copy of the mounts: what is mounted below it is mounted nowhere else' },
  );
  attach(inside, rootfs, place, 'a place of our own: the container has no mount namespace');
  setPropagation(compilation, inside, rootfs, [MS_REC | MS_PRIVATE]);
  return rootfs;
}

/** The working directory is the root to be. */
export function enterSharedRoot(inside: LaneBuilder): void {
  inside.chroot({ path: '.' }, 'entered: there is no root to put away, as the mount namespace is not its own');
}
