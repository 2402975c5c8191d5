/**
 * Whole trees by descriptor: what is in a directory, how much of the disk a tree takes. Names are bytes, nothing is followed, and no path is
 * put together, so that what a layer has made, however deep and whatever its names, is reached. getdents(2), statx(2)
 */
import { native } from '../../kernel/addon.js';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../../kernel/constants/open.js';
import { S_IFDIR, S_IFMT } from '../../kernel/constants/stat.js';
import { OwnedFd } from '../../kernel/fd.js';
import type { FileStatus, Name } from '../../kernel/native-files.js';

/** Opens a directory for reading, in another. It must be none that a symbolic link leads to. */
export function openDirectory(dirfd: number, name: Name): OwnedFd {
  return new OwnedFd(native.openat2(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0));
}

/** What the directory has, in the order of its names as bytes. The descriptor must not have been read from before. */
export function entriesOf(fd: number): { readonly name: Buffer; readonly type: number }[] {
  const all: { name: Buffer; type: number }[] = [];
  for (let some = native.getdents(fd); some.length > 0; some = native.getdents(fd)) {
    for (const { name, type } of some) {
      if (isDots(name)) continue;
      all.push({ name, type: type !== 0 ? type : typeOf(native.fstatat(fd, name, AT_SYMLINK_NOFOLLOW)) });
    }
  }
  return all.sort((a, b) => a.name.compare(b.name));
}

/** Bytes on disk of what is below the directory and the directory itself; a file of several names counts once. */
export function treeUsage(dirfd: number, name: Name): number {
  using top = openDirectory(dirfd, name);
  return usageOf(top.fd);
}

/** The same of a directory that is open, by an O_PATH descriptor too. */
export function treeUsageAt(fd: number): number {
  return treeUsage(fd, '.');
}

function usageOf(top: number): number {
  const seen = new Set<string>();
  const measure = (fd: number): number => {
    let bytes = blocksOf(native.fstatat(fd, '', AT_EMPTY_PATH));
    for (const entry of entriesOf(fd)) {
      if (entry.type === S_IFDIR) {
        using below = openDirectory(fd, entry.name);
        bytes += measure(below.fd);
        continue;
      }
      const status = native.fstatat(fd, entry.name, AT_SYMLINK_NOFOLLOW);
      if (status && status.nlink > 1) {
        const key = `${status.dev}:${status.ino}`;
        if (seen.has(key)) continue;
        seen.add(key);
      }
      bytes += blocksOf(status);
    }
    return bytes;
  };
  return measure(top);
}

function isDots(name: Buffer): boolean {
  return name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
}

const DOT = 0x2e;

function typeOf(status: FileStatus | null): number {
  return (status?.mode ?? 0) & S_IFMT;
}

function blocksOf(status: FileStatus | null): number {
  return (status?.blocks ?? 0) * 512;
}
