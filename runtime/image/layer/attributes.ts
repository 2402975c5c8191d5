/** What an entry of a layer says of a file besides its content: owner, mode, times, extended attributes. chown(2), xattr(7) */
import { native } from '../../kernel/addon.js';
import { AT_EMPTY_PATH, O_NOFOLLOW, O_PATH, RESOLVE_NO_SYMLINKS } from '../../kernel/constants/open.js';
import { isErrno } from '../../kernel/error.js';
import type { Name } from '../../kernel/native-files.js';
import type { Meter } from './budget.js';
import { BELOW } from './folders.js';
import { refused } from './names.js';
import type { TarEntry } from './tar/types.js';
import { isOverlayXattr } from './whiteout.js';

export class Attributes {
  readonly #meter: Meter;
  /** Attributes of the overlay itself, or such as this file system or user cannot have. */
  skippedXattrs = 0;

  constructor(meter: Meter) {
    this.#meter = meter;
  }

  /**
   * All of them. The order matters: a new owner takes setuid bits and capabilities away, chown(2).
   * @param flags AT_EMPTY_PATH where `fd` is the file itself, AT_SYMLINK_NOFOLLOW where it is the folder of `name`
   */
  set(fd: number, name: Name, flags: number, entry: TarEntry): void {
    native.fchownat(fd, name, entry.uid, entry.gid, flags);
    if (entry.type !== 'symlink') native.fchmodat(fd, name, entry.mode, flags);
    if (entry.xattrs.length > 0) {
      if (flags === AT_EMPTY_PATH) this.setXattrs(fd, entry);
      else {
        const file = native.openat2(fd, name, O_PATH | O_NOFOLLOW, 0, BELOW & ~RESOLVE_NO_SYMLINKS);
        try {
          this.setXattrs(file, entry);
        } finally {
          native.close(file);
        }
      }
    }
    native.utimensat(fd, name, entry.atimeNs ?? entry.mtimeNs, entry.mtimeNs, flags);
  }

  setXattrs(fd: number, entry: TarEntry): void {
    const { xattrs, xattrBytes } = this.#meter.budget;
    if (entry.xattrs.length > xattrs) throw refused(entry.name, `has more than ${xattrs} extended attributes`);
    for (const { name, value } of entry.xattrs) {
      if (value.length > xattrBytes)
        throw refused(entry.name, `has an extended attribute of more than ${xattrBytes} bytes`);
      this.#meter.addXattr(name, value);
      if (isOverlayXattr(name.toString('latin1'))) {
        this.skippedXattrs++;
        continue;
      }
      try {
        native.setxattr(fd, name, value);
      } catch (error) {
        // This file system has none such, or they are not this user's to set: `user.` of a symbolic link, `trusted.` in a user namespace.
        if (!isErrno(error, 'EOPNOTSUPP', 'EPERM')) throw error;
        this.skippedXattrs++;
      }
    }
  }
}
