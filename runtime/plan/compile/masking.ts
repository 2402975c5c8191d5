/**
 * Masked and read-only paths: files of /proc and /sys that no namespace confines. Each is looked up once, within the root;
 * the descriptor found is what is mounted over. A path that is not there needs no mask. config-linux.md, "Masked Paths".
 */
import { posix } from 'node:path';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MNT_DETACH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  RESOLVE_IN_ROOT,
} from './abi.js';
import { attach, attachWith } from './attach.js';
import type { Compilation } from './compilation.js';
import { nullDevice } from './devices.js';
import { newFileSystem } from './new-file-system.js';

const SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

/**
 * Hides each masked path: a directory under an empty one, a file under the null device. A path that is named twice is hidden once: what
 * lies over it would only be hidden again.
 */
export function maskPaths(compilation: Compilation, rootfs: Slot<'fd'>): void {
  const { builder, config } = compilation;
  const paths = config.linux?.maskedPaths ?? [];
  if (paths.length === 0) return;
  const all = builder.inside.for('linux.maskedPaths');
  const nothing = nullDevice(compilation, all, rootfs);
  const empty = emptyDirectory(all, rootfs);
  const seen = new Set<string>();
  paths.forEach((path, i) => {
    const name = posix.normalize(`/${path}/`);
    if (seen.has(name)) return;
    seen.add(name);
    const inside = builder.inside.for(`linux.maskedPaths[${i}]`);
    const directory = inside.openat2(
      { dir: rootfs, path, flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: RESOLVE_IN_ROOT },
      { as: `${path} directory`, why: `is ${path} there, and a directory?`, tolerate: ['ENOENT', 'ENOTDIR'] },
    );
    const ifDirectory = inside.with({ if: directory });
    attach(ifDirectory, copyOf(ifDirectory, empty, path, 'the empty directory'), directory, `${path}, which is hidden`);

    const file = inside.openat2(
      { dir: rootfs, path, flags: O_PATH | O_CLOEXEC, mode: 0, resolve: RESOLVE_IN_ROOT },
      { as: `${path} file`, unless: directory, why: `or a file?`, tolerate: ['ENOENT', 'ENOTDIR'] },
    );
    const ifFile = inside.with({ if: file });
    const cover = copyOf(ifFile, nothing, path, 'the null device');
    attachWith(compilation, ifFile, cover, file, `${path}, which reads as empty`, [
      { set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, why: 'whose mode nobody can change here' },
    ]);
  });
  all.fchdir({ fd: empty }, 'the empty directory has no name: it lies over the root');
  all.umount2({ target: '.', flags: MNT_DETACH }, 'and is needed there no more');
}

/**
 * One for all of them: making a file system costs more than showing it once more. It is attached for as long as it is copied, which is
 * only then possible before Linux 6.15; over the root, which is reached by its descriptor and so does not change.
 */
function emptyDirectory(lane: LaneBuilder, rootfs: Slot<'fd'>): Slot<'fd'> {
  const empty = newFileSystem(lane, 'tmpfs', {
    source: 'tmpfs',
    data: ['mode=555'],
    attributes: MOUNT_ATTR_RDONLY | SAFE,
    why: 'an empty directory to hide others',
  });
  attach(lane, empty, rootfs, 'the root, while copies of it are made');
  return empty;
}

function copyOf(lane: LaneBuilder, of: Slot<'fd'>, path: string, what: string): Slot<'fd'> {
  return lane.open_tree(
    { dir: of, path: '', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH },
    { as: `${path} cover`, why: `${what}, to hide it` },
  );
}

// #region read-only-paths
/** Mounts each read-only path over itself, read-only. */
export function protectPaths(compilation: Compilation, rootfs: Slot<'fd'>): void {
  const { builder, config, features } = compilation;
  config.linux?.readonlyPaths?.forEach((path, i) => {
    const inside = builder.inside.for(`linux.readonlyPaths[${i}]`);
    const found = inside.openat2(
      { dir: rootfs, path, flags: O_PATH | O_CLOEXEC, mode: 0, resolve: RESOLVE_IN_ROOT },
      { as: path, why: `is ${path} there?`, tolerate: ['ENOENT', 'ENOTDIR'] },
    );
    const then = inside.with({ if: found });
    const copy = then.open_tree(
      { dir: found, path: '', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE },
      { as: `${path} copy`, why: 'a mount of the same, to change without changing the original' },
    );
    attachWith(compilation, then, copy, found, `${path}, which can no longer be written`, [
      {
        // Options that the mount below has are kept by mount_setattr; a remount must repeat them.
        set: features.mountSetattr ? MOUNT_ATTR_RDONLY : MOUNT_ATTR_RDONLY | SAFE,
        recursive: true,
        why: 'read-only, with all that is mounted below',
      },
    ]);
  });
}
// #endregion
