/**
 * The root file system: a private copy of its mounts, held by a descriptor while everything is mounted below it, then made
 * the root with pivot_root(2). The old root is stacked on the new one and unmounted, so no directory for it is needed.
 * pivot_root(2), NOTES: "pivot_root(".", ".")".
 */
import { readFileSync, realpathSync } from 'node:fs';
import { mountOf, parseMountInfo } from '../../kernel/mountinfo.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_MOVE,
  MS_PRIVATE,
  MS_RDONLY,
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
import { setPropagation, sharesMounts } from './attach.js';
import { setAttributes } from './attributes.js';
import { type Compilation, has } from './compilation.js';
import { lockedAttributes } from './locked.js';
import { attachOverlay } from './overlay-root.js';
import { attachSharedRoot, enterSharedRoot } from './shared-root.js';

/** Puts the root file system's mounts, as a copy of their own, into the new mount namespace. Returns the descriptor of its root. */
export function attachRootfs(compilation: Compilation): Slot<'fd'> {
  if (!has(compilation, 'mount')) return attachSharedRoot(compilation);
  const { builder, bundle } = compilation;
  // A volume that shares its mounts with the host must find the host's mounts as they are: only the root's own place is private then.
  if (sharesMounts(compilation)) privatePlace(compilation);
  else makePrivate(compilation);
  const inside = builder.inside.for('root.path');
  const overlay = attachOverlay(compilation);
  const place = inside.openat2(
    { dir: 'cwd', path: bundle.rootfs, flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'rootfs place', why: 'the path is looked up once; from here on the root is a descriptor' },
  );
  // #region attach
  const rootfs =
    overlay ??
    inside.open_tree(
      { dir: place, path: '', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE },
      { as: 'rootfs', why: 'a copy of the mounts, because pivot_root wants a mount point of our own' },
    );
  inside.move_mount(
    { from: rootfs, fromPath: '', to: place, toPath: '', flags: MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH },
    overlay
      ? 'attached over an empty folder: only attached mounts can take mounts below them'
      : 'the copy is attached over its own place: only attached mounts can take mounts below them',
  );
  // #endregion
  if (sharesMounts(compilation)) setPropagation(compilation, inside, rootfs, [MS_REC | MS_PRIVATE]);
  return rootfs;
}

// #region propagation
/** What the mounts of the host become in the container's mount namespace: `slave` lets those that the host makes later come in. */
export function hostPropagation({ config }: Compilation): number {
  return /slave|shared/.test(config.linux?.rootfsPropagation ?? '') ? MS_SLAVE : MS_PRIVATE;
}

function makePrivate(compilation: Compilation): void {
  const propagation = hostPropagation(compilation);
  const receives = propagation === MS_SLAVE;
  compilation.builder.inside
    .for(receives ? 'linux.rootfsPropagation' : 'linux.namespaces')
    .mount(
      { source: 'none', target: '/', type: 'none', flags: MS_REC | propagation, data: '' },
      receives
        ? 'mounts made on the host may come in; none made here goes out'
        : 'no mount made here is seen on the host, and none made there is seen here',
    );
}
// #endregion

/** pivot_root(2) and we ourselves need a parent of the root that is not shared: what is mounted there would be seen on the host. */
function privatePlace({ builder, bundle }: Compilation): void {
  // The place of an overlay is made later, on the disk that has the layers.
  const place = bundle.overlay?.lower[0] ?? bundle.rootfs;
  const mount = mountOf(readFileSync('/proc/self/mountinfo', 'utf8'), realpathSync(place));
  builder.inside
    .for('linux.rootfsPropagation')
    .mount(
      { source: 'none', target: mount?.mountPoint ?? '/', type: 'none', flags: MS_PRIVATE, data: '' },
      'the mount that has the root file system: no mount made in the root is seen on the host',
    );
}

/** The last things done to the root before the container lives in it. */
export function enterRootfs(compilation: Compilation, rootfs: Slot<'fd'>): void {
  const { builder, config } = compilation;
  if (config.root?.readonly) {
    setAttributes(compilation.features, builder.inside.for('root.readonly'), rootfs, {
      set: MOUNT_ATTR_RDONLY,
      locked: compilation.bundle.overlay ? 0 : lockedAttributes(compilation, compilation.bundle.rootfs),
      why: 'the root is read-only, now that every mount point in it exists',
    });
  }
  const inside = builder.inside.for('root.path');
  inside.fchdir({ fd: rootfs }, 'the root to be is the working directory');
  if (!has(compilation, 'mount')) enterSharedRoot(inside);
  else if (compilation.noPivot) moveRoot(compilation, inside);
  else pivotRoot(compilation, inside);
  inside.chdir({ path: '/' }, 'the working directory is within the new root');
  const flags = PROPAGATION[config.linux?.rootfsPropagation ?? ''];
  if (flags !== undefined) {
    builder.inside
      .for('linux.rootfsPropagation')
      .mount({ source: 'none', target: '/', type: 'none', flags, data: '' }, 'as the configuration asks');
  }
}

// #region pivot-root
function pivotRoot(compilation: Compilation, inside: LaneBuilder): void {
  const old = sharesMounts(compilation) ? hostsRoot(inside) : undefined;
  inside.pivot_root(
    { newRoot: '.', putOld: '.' },
    'it becomes the root, with the host’s root stacked on top of it (EINVAL: an initramfs cannot be left so, but with --no-pivot)',
  );
  if (old) makeSlave(inside, old);
  inside.umount2({ target: '.', flags: MNT_DETACH }, 'the host’s root goes, and all its mounts with it');
}
// #endregion

/** Unmounting a shared mount unmounts its peers. The name "." would be the new root, on which the host’s lies: mount(2) does not go up. */
function makeSlave(inside: LaneBuilder, old: Slot<'fd'>): void {
  inside.fchdir({ fd: old }, 'the host’s root, which has no name any more');
  const flags = MS_REC | MS_SLAVE;
  inside.mount({ source: 'none', target: '.', type: 'none', flags, data: '' }, 'the host keeps what is unmounted here');
  inside.close({ fd: old }, 'done');
}

function hostsRoot(inside: LaneBuilder): Slot<'fd'> {
  return inside.openat2(
    { dir: 'cwd', path: '/', flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
    { as: 'host’s root', why: 'to say something of it when it is no longer the root' },
  );
}

/**
 * `--no-pivot`, for machines that run from their initramfs: the root is moved over the host's, which stays below it, and entered by
 * chroot(2). A whole proc or sysfs of the host that could still be seen there would let a user namespace below the container mount one
 * without the masks of its own (mount_too_revealing of the kernel), so these are covered first.
 */
function moveRoot(compilation: Compilation, inside: LaneBuilder): void {
  const change = (target: string, flags: number, why: string) =>
    inside.mount({ source: 'none', target, type: 'none', flags, data: '' }, { why, tolerate: ['EINVAL', 'ENOENT'] });
  for (const target of wholeViews(compilation)) {
    change(target, MS_REC | MS_SLAVE, 'the host does not see what covers it');
    inside.mount(
      { source: 'tmpfs', target, type: 'tmpfs', flags: MS_RDONLY, data: '' },
      { why: 'covered: it is the host’s, without masks', tolerate: ['ENOENT'] },
    );
  }
  change('/', MS_PRIVATE, 'the move is not seen on the host');
  inside.mount(
    { source: '.', target: '/', type: 'none', flags: MS_MOVE, data: '' },
    'the root is moved over the host’s',
  );
  inside.chroot({ path: '.' }, 'and entered: paths begin here');
}

/** Where the host has a proc or sysfs of which nothing is left out. */
function wholeViews({ bundle }: Compilation): string[] {
  const within = `${bundle.rootfs}/`;
  const mounts = parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const whole = mounts.filter(({ fsType, root }) => root === '/' && (fsType === 'proc' || fsType === 'sysfs'));
  return [...new Set(whole.map(({ mountPoint }) => mountPoint))].filter((point) => !point.startsWith(within));
}

/** What is more than the propagation that the whole tree has from the beginning: slave or private. With r: of the mounts below as well. */
const PROPAGATION: Readonly<Record<string, number>> = {
  shared: MS_SHARED,
  rshared: MS_REC | MS_SHARED,
  unbindable: MS_UNBINDABLE,
  runbindable: MS_REC | MS_UNBINDABLE,
};
