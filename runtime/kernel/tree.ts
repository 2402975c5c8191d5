/**
 * The removal of a whole tree by descriptor, whatever a container has made of it: names are bytes, nothing is followed, no path is put
 * together, and a tree of any depth takes two descriptors, since folders are moved up before they are emptied. unlinkat(2), renameat2(2).
 */
import { native } from './addon.js';
import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
} from './constants/open.js';
import { S_IFDIR, S_IFMT } from './constants/stat.js';
import { TareError } from './error.js';
import { OwnedFd } from './fd.js';
import type { Name } from './native-files.js';

/** Removes the folder at the path, and all that is in it; nothing where there is none. Of several who do so at once, all succeed. */
export function removeTreeAt(path: string): void {
  const at = path.lastIndexOf('/');
  let parent: OwnedFd;
  try {
    parent = new OwnedFd(native.open(path.slice(0, at) || '/', O_PATH | O_DIRECTORY | O_CLOEXEC));
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  using _parent = parent;
  const name = path.slice(at + 1);
  if (!isFolder(parent.fd, name)) return void quietly(() => native.unlinkat(parent.fd, name, 0));
  quietly(() => {
    using top = openFolder(parent.fd, name);
    emptyFolder(top.fd);
  });
  quietly(() => native.unlinkat(parent.fd, name, AT_REMOVEDIR));
}

/** Until nothing is left: what is found in a folder of it that is a folder itself becomes one of its own. */
function emptyFolder(top: number): void {
  let moved = 0;
  for (let names = namesIn(top); names.length > 0; names = namesIn(top)) {
    for (const name of names) {
      if (!isFolder(top, name)) {
        quietly(() => native.unlinkat(top, name, 0));
        continue;
      }
      quietly(() => {
        using folder = openFolder(top, name);
        for (const below of namesIn(folder.fd)) {
          if (!isFolder(folder.fd, below)) quietly(() => native.unlinkat(folder.fd, below, 0));
          else
            quietly(() =>
              native.renameat2(
                folder.fd,
                below,
                top,
                freeName(top, () => moved++),
                0,
              ),
            );
        }
      });
      quietly(() => native.unlinkat(top, name, AT_REMOVEDIR));
    }
  }
}

/** Another folder may have the name by its own choice. */
function freeName(top: number, next: () => number): string {
  for (;;) {
    const name = `.gone-${process.pid}-${next()}`;
    if (native.fstatat(top, name, AT_SYMLINK_NOFOLLOW) === null) return name;
  }
}

/** All of them: the folder may change while they are removed. */
function namesIn(folder: number): Buffer[] {
  using fd = openFolder(folder, '.');
  const names: Buffer[] = [];
  for (let some = native.getdents(fd.fd); some.length > 0; some = native.getdents(fd.fd))
    for (const { name } of some) if (!isDots(name)) names.push(name);
  return names;
}

function openFolder(dirfd: number, name: Name): OwnedFd {
  return new OwnedFd(native.openat2(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0));
}

function isFolder(dirfd: number, name: Name): boolean {
  return ((native.fstatat(dirfd, name, AT_SYMLINK_NOFOLLOW)?.mode ?? 0) & S_IFMT) === S_IFDIR;
}

function isDots(name: Buffer): boolean {
  return name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
}

const DOT = 0x2e;

function quietly(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Somebody else was faster. */
function isGone(error: unknown): boolean {
  return error instanceof TareError && error.syscall?.errno === 'ENOENT';
}
