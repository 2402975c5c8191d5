/**
 * No file is newer than SOURCE_DATE_EPOCH: what a step has changed gets that time where it has a later one, in its folder itself, so that the layer and
 * its snapshot stay the same. https://reproducible-builds.org/docs/timestamps/
 */
import { native } from '../../kernel/addon.js';
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
} from '../../kernel/constants/open.js';
import { S_IFDIR, S_IFMT } from '../../kernel/constants/stat.js';
import { OwnedFd } from '../../kernel/fd.js';
import { entriesOf, openFolder } from '../../kernel/folder.js';
import type { Name } from '../../kernel/native-files.js';

/** @param folder nobody else is at work in it @param epoch in seconds since 1970 */
export function clampTimes(folder: string, epoch: number): void {
  using top = new OwnedFd(native.open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  clampFolder(top.fd, BigInt(epoch) * 1_000_000_000n);
  clamp(top.fd, '', BigInt(epoch) * 1_000_000_000n, AT_EMPTY_PATH);
}

/** What is in it; a folder after what is in it. */
function clampFolder(folder: number, latest: bigint): void {
  for (const { name } of entriesOf(folder)) {
    const status = native.fstatat(folder, name, AT_SYMLINK_NOFOLLOW);
    if (!status) continue;
    if ((status.mode & S_IFMT) === S_IFDIR) {
      using inner = openFolder(folder, name);
      clampFolder(inner.fd, latest);
    }
    clamp(folder, name, latest, AT_SYMLINK_NOFOLLOW);
  }
}

function clamp(folder: number, name: Name, latest: bigint, flags: number): void {
  const status = native.fstatat(folder, name, flags);
  if (status && status.mtimeNs > latest) native.utimensat(folder, name, latest, latest, flags);
}
