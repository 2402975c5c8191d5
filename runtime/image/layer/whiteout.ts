/**
 * How overlayfs says that something of the layers below is gone: a character device 0:0 in its place, or an attribute of a folder that hides all
 * that it had. Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"
 */
import { native } from '../../kernel/addon.js';
import { S_IFCHR, S_IFMT } from '../../kernel/constants/stat.js';
import type { FileStatus, Name } from '../../kernel/native-files.js';

/** Whose attributes the overlay reads: `user` where it is mounted with `userxattr`, in a user namespace. */
export type OverlayFlavour = 'trusted' | 'user';

const OVERLAY_XATTR = /^(?:trusted|user)\.overlay\./;

export function isWhiteout(status: Pick<FileStatus, 'mode' | 'rdevMajor' | 'rdevMinor'>): boolean {
  return (status.mode & S_IFMT) === S_IFCHR && status.rdevMajor === 0 && status.rdevMinor === 0;
}

/** Everybody may make one, since Linux 5.8. */
export function makeWhiteout(dirfd: number, name: Name): void {
  native.mknodat(dirfd, name, S_IFCHR, 0, 0);
}

export function makeOpaque(folder: number, flavour: OverlayFlavour): void {
  native.setxattr(folder, `${flavour}.overlay.opaque`, Buffer.from('y'));
}

export function isOpaque(folder: number, flavour: OverlayFlavour): boolean {
  return native.getxattr(folder, `${flavour}.overlay.opaque`)?.toString('latin1') === 'y';
}

/**
 * The overlay's own: an archive may not have them, for `redirect` and `metacopy` would show files of the layers below under other names, and
 * owners.
 */
export function isOverlayXattr(name: string): boolean {
  return OVERLAY_XATTR.test(name);
}
