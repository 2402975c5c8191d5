/** How much of the disk a tree takes. Nothing is followed, and no path is put together, however deep a layer is and whatever its names. statx(2) */
import { native } from '../../kernel/addon.js';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from '../../kernel/constants/open.js';
import { S_IFDIR, S_IFMT } from '../../kernel/constants/stat.js';
import { entriesOf, openFolder } from '../../kernel/folder.js';
import type { FileStatus, Name } from '../../kernel/native-files.js';

/** Bytes on disk of what is below the directory and the directory itself; a file of several names counts once. */
export function treeUsage(dirfd: number, name: Name): number {
  using top = openFolder(dirfd, name);
  return usageOf(top.fd, new Set());
}

/** The same of a directory that is open, by an O_PATH descriptor too. */
export function treeUsageAt(fd: number): number {
  return treeUsage(fd, '.');
}

/** @param seen files of several names that have been counted */
function usageOf(fd: number, seen: Set<string>): number {
  let bytes = blocksOf(native.fstatat(fd, '', AT_EMPTY_PATH));
  for (const { name } of entriesOf(fd)) {
    const status = native.fstatat(fd, name, AT_SYMLINK_NOFOLLOW);
    if (((status?.mode ?? 0) & S_IFMT) === S_IFDIR) {
      using below = openFolder(fd, name);
      bytes += usageOf(below.fd, seen);
      continue;
    }
    if (status && status.nlink > 1) {
      const key = `${status.dev}:${status.ino}`;
      if (seen.has(key)) continue;
      seen.add(key);
    }
    bytes += blocksOf(status);
  }
  return bytes;
}

function blocksOf(status: FileStatus | null): number {
  return (status?.blocks ?? 0) * 512;
}
