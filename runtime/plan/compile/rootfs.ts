/**
 * The root file system: a private copy of its mounts, held by a descriptor while everything is mounted below it, then made
 * the root with pivot_root(2). The old root is stacked on the new one and unmounted, so no directory for it is needed.
 * pivot_root(2), NOTES: "pivot_root(".", ".")".
 */
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from './abi.js';
import { setAttributes } from './attributes.js';
import type { Compilation } from './compilation.js';

/** Puts the root file system's mounts, as a copy of their own, into the new mount namespace. Returns the descriptor of its root. */
export function attachRootfs({ builder, bundle, config }: Compilation): Slot<'fd'> {
  // #region propagation
  const propagation = config.linux?.rootfsPropagation || 'private';
  // `slave` and `shared` let mounts that the host makes later come in; nothing ever goes out.
  const receives = /slave|shared/.test(propagation);
  builder.inside
    .for(receives ? 'linux.rootfsPropagation' : 'linux.namespaces')
    .mount(
      { source: 'none', target: '/', type: 'none', flags: MS_REC | (receives ? MS_SLAVE : MS_PRIVATE), data: '' },
      receives
        ? 'mounts made on the host may come in; none made here goes out'
        : 'no mount made here is seen on the host, and none made there is seen here',
    );
  // #endregion
  const inside = builder.inside.for('root.path');
  const place = inside.openat2(
    { dir: 'cwd', path: bundle.rootfs, flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'rootfs place', why: 'the path is looked up once; from here on the root is a descriptor' },
  );
  // #region attach
  const rootfs = inside.open_tree(
    { dir: place, path: '', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE },
    { as: 'rootfs', why: 'a copy of the mounts, because pivot_root wants a mount point of our own' },
  );
  inside.move_mount(
    { from: rootfs, fromPath: '', to: place, toPath: '', flags: MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH },
    'the copy is attached over its own place: only attached mounts can take mounts below them',
  );
  return rootfs;
  // #endregion
}

/** The last things done to the root before the container lives in it. */
export function enterRootfs(compilation: Compilation, rootfs: Slot<'fd'>): void {
  const { builder, config } = compilation;
  if (config.root?.readonly) {
    setAttributes(compilation.features, builder.inside.for('root.readonly'), rootfs, {
      set: MOUNT_ATTR_RDONLY,
      why: 'the root is read-only, now that every mount point in it exists',
    });
  }
  const inside = builder.inside.for('root.path');
  // #region pivot-root
  inside.fchdir({ fd: rootfs }, 'the root to be is the working directory');
  inside.pivot_root({ newRoot: '.', putOld: '.' }, 'it becomes the root, with the host’s root stacked on top of it');
  inside.umount2({ target: '.', flags: MNT_DETACH }, 'the host’s root goes, and all its mounts with it');
  inside.chdir({ path: '/' }, 'the working directory is within the new root');
  // #endregion
  const flags = PROPAGATION[config.linux?.rootfsPropagation ?? ''];
  if (flags !== undefined) {
    builder.inside
      .for('linux.rootfsPropagation')
      .mount({ source: 'none', target: '/', type: 'none', flags, data: '' }, 'as the configuration asks');
  }
}

/** What is more than the propagation that the whole tree has from the beginning: slave or private. With r: of the mounts below as well. */
const PROPAGATION: Readonly<Record<string, number>> = {
  shared: MS_SHARED,
  rshared: MS_REC | MS_SHARED,
  unbindable: MS_UNBINDABLE,
  runbindable: MS_REC | MS_UNBINDABLE,
};
