/**
 * A path of an image as its programs see it: resolved below the image's root, wherever its links point, and never out of it.
 * openat2(2), RESOLVE_IN_ROOT
 */
import { native } from './addon.js';
import { O_CLOEXEC, O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS } from './constants/open.js';
import { isErrno } from './error.js';
import { OwnedFd } from './fd.js';

/**
 * An O_PATH descriptor; undefined where nothing is.
 * @param path `''` is the root itself
 * @param flags more than O_PATH, such as O_DIRECTORY: then what is no folder is not there
 */
export function openInRoot(root: number, path: string, flags = 0): OwnedFd | undefined {
  try {
    const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return new OwnedFd(native.openat2(root, path || '.', O_PATH | O_CLOEXEC | flags, 0, resolve));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}
