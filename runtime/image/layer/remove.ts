/** Removes a file, or a folder with all that is in it, by the descriptor of the folder it lies in; nothing is followed. unlink(2) */

import { native } from '../../kernel/addon.js';
import { AT_REMOVEDIR, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../../kernel/constants/open.js';
import { isErrno } from '../../kernel/error.js';
import type { Name } from '../../kernel/native-files.js';
import { BELOW } from './folders.js';

/** True when it was a folder. @throws TareError `system-call` */
export function removeEntry(dirfd: number, name: Name): boolean {
  try {
    native.unlinkat(dirfd, name, 0);
    return false;
  } catch (error) {
    if (!isErrno(error, 'EISDIR')) throw error;
  }
  const stack = [{ parent: dirfd, name, fd: openFolder(dirfd, name) }];
  try {
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const below = emptyOfFiles(top.fd);
      if (below) {
        stack.push({ parent: top.fd, name: below, fd: openFolder(top.fd, below) });
        continue;
      }
      native.unlinkat(top.parent, top.name, AT_REMOVEDIR);
      native.close(top.fd);
      stack.pop();
    }
  } finally {
    for (const { fd } of stack) native.close(fd);
  }
  return true;
}

/** Removes what is no folder. Gives the first folder, if one is left. */
function emptyOfFiles(fd: number): Buffer | undefined {
  native.lseek(fd, 0, 0);
  for (let names = native.getdents(fd); names.length > 0; names = native.getdents(fd))
    for (const { name } of names) {
      if (['.', '..'].includes(name.toString('latin1'))) continue;
      try {
        native.unlinkat(fd, name, 0);
      } catch (error) {
        if (isErrno(error, 'EISDIR')) return name;
        throw error;
      }
    }
  return undefined;
}

function openFolder(dirfd: number, name: Name): number {
  return native.openat2(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, BELOW);
}
