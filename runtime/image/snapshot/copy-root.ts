/** The upper folder of an overlay gets what its root is to have: owner, mode, times and attributes of the root of the layers below. xattr(7), utimensat(2) */
import { native } from '../../kernel/addon.js';
import { AT_EMPTY_PATH, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { isOverlayXattr } from '../layer/index.js';

/** From one folder to the other; nothing of what is in them. */
export function copyRoot(from: string, to: string): void {
  using below = open(from);
  using above = open(to);
  const status = native.fstatat(below.fd, '', AT_EMPTY_PATH);
  if (!status) throw new TareError('internal', `${from} is open, and not there`);
  native.fchownat(above.fd, '', status.uid, status.gid, AT_EMPTY_PATH);
  for (const name of native.listxattr(below.fd)) {
    const value = isOverlayXattr(name.toString('latin1')) ? null : native.getxattr(below.fd, name);
    if (value) native.setxattr(above.fd, name, value);
  }
  // After the owner, which takes the set-id bits, and the lists of access rights, which are another form of the mode.
  native.fchmodat(above.fd, '', status.mode & 0o7777, AT_EMPTY_PATH);
  native.utimensat(above.fd, '', status.atimeNs, status.mtimeNs, AT_EMPTY_PATH);
}

function open(path: string): OwnedFd {
  return new OwnedFd(native.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}
