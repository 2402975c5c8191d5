/**
 * One file of a tree that is looked at: opened by its name in its directory without being followed or read (O_PATH), so that what is found out about it
 * is all of the same file, and a device or FIFO of a hostile layer does nothing. openat2(2), statx(2), xattr(7)
 */
import { native } from '../../kernel/addon.js';
import { XATTR_SIZE_MAX } from '../../kernel/constants/files.js';
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from '../../kernel/constants/open.js';
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../kernel/constants/stat.js';
import { isErrno, TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { entriesOf } from '../../kernel/folder.js';
import type { FileStatus } from '../../kernel/native-files.js';
import { inFirstUserNamespace } from '../../kernel/user-namespace.js';
import { isOverlayXattr, type Xattr } from '../layer/index.js';

export class Node implements Disposable {
  readonly #fd: OwnedFd;
  readonly status: FileStatus;
  #xattrs: readonly Xattr[] | undefined;

  private constructor(fd: OwnedFd) {
    this.#fd = fd;
    try {
      const status = native.fstatat(fd.fd, '', AT_EMPTY_PATH);
      if (!status) throw new TareError('internal', 'a file is open, and not there');
      this.status = status;
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** The directory of a descriptor, which stays the caller's. */
  static of(fd: number): Node {
    return new Node(new OwnedFd(native.openat2(fd, '.', O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0)));
  }

  /** undefined when there is none of this name. */
  child(name: Buffer): Node | undefined {
    try {
      const flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
      return new Node(new OwnedFd(native.openat2(this.#fd.fd, name, flags, 0, RESOLVE_BENEATH)));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  get fd(): number {
    return this.#fd.fd;
  }

  /** S_IFREG and so on. */
  get type(): number {
    return this.status.mode & S_IFMT;
  }

  get isDirectory(): boolean {
    return this.type === S_IFDIR;
  }

  get isFile(): boolean {
    return this.type === S_IFREG;
  }

  /** The names in a directory, in the order of their bytes. */
  names(): Buffer[] {
    using folder = this.open();
    return [...entriesOf(folder.fd)].map(({ name }) => name).sort(Buffer.compare);
  }

  /** For reading what it holds: a directory or a regular file. */
  open(): OwnedFd {
    if (this.isDirectory) {
      const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
      return new OwnedFd(native.openat2(this.#fd.fd, '.', flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
    }
    if (!this.isFile) throw new TareError('internal', 'what is no regular file is never opened');
    return new OwnedFd(native.open(`/proc/self/fd/${this.#fd.fd}`, O_RDONLY | O_CLOEXEC));
  }

  /** Of a symbolic link; of anything else empty. */
  target(): Buffer {
    return this.type === S_IFLNK ? native.readlinkat(this.#fd.fd, '') : Buffer.alloc(0);
  }

  /** In the order of their names; without those that are the overlay's own. */
  xattrs(): readonly Xattr[] {
    this.#xattrs ??= native
      .listxattr(this.#fd.fd)
      .filter((name) => !isOverlayXattr(name.toString('latin1')))
      .sort(Buffer.compare)
      .flatMap((name) => {
        const value = native.getxattr(this.#fd.fd, name);
        return value && value.length <= XATTR_SIZE_MAX ? [{ name, value }] : [];
      });
    return this.#xattrs;
  }

  /**
   * What the overlay itself says of it: `opaque`, `whiteout` … A container may set `user.*` attributes, so those are its word only in a user
   * namespace, whose overlays have no others.
   */
  overlays(name: string): string | undefined {
    const prefix = inFirstUserNamespace() ? 'trusted' : 'user';
    return native.getxattr(this.#fd.fd, `${prefix}.overlay.${name}`)?.toString('latin1');
  }

  /** In an overlay's upper folder: the name is gone. A character device 0:0; since Linux 6.7 also an empty file with an attribute. */
  get isWhiteout(): boolean {
    if (this.type === S_IFCHR) return this.status.rdevMajor === 0 && this.status.rdevMinor === 0;
    return this.isFile && this.status.size === 0 && this.overlays('whiteout') !== undefined;
  }

  /** Whether both descriptors are of one file. */
  is(other: Node): boolean {
    return this.status.ino === other.status.ino && this.status.dev === other.status.dev;
  }

  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
