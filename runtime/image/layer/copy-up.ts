/**
 * Copies a file with everything that it is, from one folder to another, both by descriptor: what overlayfs calls copy-up. Holes stay holes.
 * overlayfs.rst, "Non-directories"
 */
import { native } from '../../kernel/addon.js';
import { SEEK_DATA, SEEK_HOLE } from '../../kernel/constants/files.js';
import {
  AT_EMPTY_PATH,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_NO_SYMLINKS,
} from '../../kernel/constants/open.js';
import { S_IFLNK, S_IFMT, S_IFREG } from '../../kernel/constants/stat.js';
import { OwnedFd } from '../../kernel/fd.js';
import type { FileStatus, Name } from '../../kernel/native-files.js';
import { BELOW, type Folder } from './folders.js';
import { isOverlayXattr } from './whiteout.js';

/** @param status of `name` in `fromDir`, which is no folder */
export function copyFile(fromDir: number, fromName: Name, status: FileStatus, toDir: number, toName: Name): void {
  const type = status.mode & S_IFMT;
  if (type === S_IFREG) {
    using from = new OwnedFd(native.openat2(fromDir, fromName, O_RDONLY | O_NOFOLLOW, 0, BELOW));
    using to = new OwnedFd(native.openat2(toDir, toName, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600, BELOW));
    copyContent(from.fd, to.fd, status.size);
    setTimes(to.fd, copyAttributes(from.fd, to.fd));
    return;
  }
  if (type === S_IFLNK) native.symlinkat(native.readlinkat(fromDir, fromName), toDir, toName);
  else native.mknodat(toDir, toName, type | 0o600, status.rdevMajor, status.rdevMinor);
  const within = BELOW & ~RESOLVE_NO_SYMLINKS; // the link itself is opened
  using from = new OwnedFd(native.openat2(fromDir, fromName, O_PATH | O_NOFOLLOW, 0, within));
  using to = new OwnedFd(native.openat2(toDir, toName, O_PATH | O_NOFOLLOW, 0, within));
  setTimes(to.fd, copyAttributes(from.fd, to.fd, { changeMode: type !== S_IFLNK }));
}

/** Owner, mode and extended attributes, but those of the overlay itself. Gives the times, which are to be set last. */
export function copyAttributes(from: number, to: number, { changeMode = true } = {}): Folder['times'] {
  const status = native.fstatat(from, '', AT_EMPTY_PATH) as FileStatus;
  native.fchownat(to, '', status.uid, status.gid, AT_EMPTY_PATH);
  if (changeMode) native.fchmodat(to, '', status.mode & 0o7777, AT_EMPTY_PATH);
  for (const name of native.listxattr(from)) {
    const value = isOverlayXattr(name.toString('latin1')) ? null : native.getxattr(from, name);
    if (value) native.setxattr(to, name, value);
  }
  return { atimeNs: status.atimeNs, mtimeNs: status.mtimeNs };
}

function setTimes(fd: number, { atimeNs, mtimeNs }: Folder['times']): void {
  native.utimensat(fd, '', atimeNs, mtimeNs, AT_EMPTY_PATH);
}

function copyContent(from: number, to: number, size: number): void {
  native.ftruncate(to, size);
  for (let data = native.lseek(from, 0, SEEK_DATA); data >= 0; ) {
    const hole = native.lseek(from, data, SEEK_HOLE);
    if (hole < 0) return;
    for (let at = data; at < hole; ) {
      const copied = native.copyFileRange(from, at, to, at, hole - at);
      if (copied === 0) return; // it has become shorter
      at += copied;
    }
    data = native.lseek(from, hole, SEEK_DATA);
  }
}
