/** Folders by descriptor: one in another, by a name that is not followed, and what is in it. Names are bytes. openat2(2), getdents(2) */
import { native } from './addon.js';
import { SEEK_SET } from './constants/files.js';
import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from './constants/open.js';
import { OwnedFd } from './fd.js';
import type { DirectoryEntry, Name } from './native-files.js';

/** For reading. @param name of one component; `.` opens the folder itself anew @throws TareError `system-call` */
export function openFolder(dirfd: number, name: Name): OwnedFd {
  return new OwnedFd(native.openat2(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0));
}

/** What is in a folder that is open for reading, from its beginning, in no order, and without `.` and `..`. */
export function* entriesOf(folder: number): Generator<DirectoryEntry, void, void> {
  native.lseek(folder, 0, SEEK_SET);
  for (let some = native.getdents(folder); some.length > 0; some = native.getdents(folder))
    for (const entry of some) if (!isDots(entry.name)) yield entry;
}

function isDots(name: Buffer): boolean {
  return name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT));
}

const DOT = 0x2e;
