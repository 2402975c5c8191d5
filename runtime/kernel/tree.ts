/**
 * The removal of a whole tree by descriptor, whatever a container has made of it: names are bytes, nothing is followed, no path is put
 * together, and a tree of any depth takes two descriptors, since folders are moved up before they are emptied. unlinkat(2), renameat2(2).
 */
import { basename, dirname } from 'node:path';
import { native } from './addon.js';
import { AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_DIRECTORY, O_PATH } from './constants/open.js';
import { S_IFDIR, S_IFMT } from './constants/stat.js';
import { isErrno } from './error.js';
import { OwnedFd } from './fd.js';
import { entriesOf, openFolder } from './folder.js';
import type { Name } from './native-files.js';

/** Removes the folder at the path, and all that is in it; nothing where there is none. Of several who do so at once, all succeed. */
export function removeTreeAt(path: string): void {
  let parent: OwnedFd;
  try {
    parent = new OwnedFd(native.open(dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  using _parent = parent;
  removeTree(parent.fd, basename(path));
}

/** The same of a name in a folder; whatever is there. @returns whether it was a folder */
export function removeTree(parent: number, name: Name): boolean {
  if (!isFolder(parent, name)) {
    quietly(() => native.unlinkat(parent, name, 0));
    return false;
  }
  quietly(() => {
    using top = openFolder(parent, name);
    emptyFolder(top.fd);
  });
  quietly(() => native.unlinkat(parent, name, AT_REMOVEDIR));
  return true;
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

/** All of them: the folder changes while they are removed. */
function namesIn(folder: number): Buffer[] {
  return [...entriesOf(folder)].map(({ name }) => name);
}

function isFolder(dirfd: number, name: Name): boolean {
  return ((native.fstatat(dirfd, name, AT_SYMLINK_NOFOLLOW)?.mode ?? 0) & S_IFMT) === S_IFDIR;
}

/** Where it is gone, somebody else was faster. */
function quietly(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
