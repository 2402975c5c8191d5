/**
 * Masked and read-only paths: files of /proc and /sys that no namespace confines. Each is looked up once, within the root;
 * the descriptor found is what is mounted over. A path that is not there needs no mask. config-linux.md, "Masked Paths".
 */
import type { Slot } from '../plan.js';
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
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

/** Hides each masked path: a directory under an empty one, a file under the null device. */
export function maskPaths(compilation: Compilation, rootfs: Slot<'fd'>): void {
  const { builder, config } = compilation;
  if (!config.linux?.maskedPaths?.length) return;
  const nothing = nullDevice(compilation, builder.inside.for('linux.maskedPaths'), rootfs);
  config.linux?.maskedPaths?.forEach((path, i) => {
    const inside = builder.inside.for(`linux.maskedPaths[${i}]`);
    const directory = inside.openat2(
      { dir: rootfs, path, flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: RESOLVE_IN_ROOT },
      { as: `${path} directory`, why: `is ${path} there, and a directory?`, tolerate: ['ENOENT', 'ENOTDIR'] },
    );
    const ifDirectory = inside.with({ if: directory });
    const empty = newFileSystem(ifDirectory, 'tmpfs', {
      source: 'tmpfs',
      data: ['mode=555'],
      attributes: MOUNT_ATTR_RDONLY | SAFE,
      why: 'an empty directory to hide it',
    });
    attach(ifDirectory, empty, directory, `${path}, which is hidden`);

    const file = inside.openat2(
      { dir: rootfs, path, flags: O_PATH | O_CLOEXEC, mode: 0, resolve: RESOLVE_IN_ROOT },
      { as: `${path} file`, unless: directory, why: `or a file?`, tolerate: ['ENOENT', 'ENOTDIR'] },
    );
    const ifFile = inside.with({ if: file });
    const copy = ifFile.open_tree(
      { dir: nothing, path: '', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH },
      { as: `${path} cover`, why: 'the null device, to hide it' },
    );
    attachWith(compilation, ifFile, copy, file, `${path}, which reads as empty`, [
      { set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, why: 'whose mode nobody can change here' },
    ]);
  });
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
