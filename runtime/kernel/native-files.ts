/**
 * The part of the addon that is about files: one thin function per system call, each on a directory's descriptor and a name in it. A name may
 * be a string (UTF-8) or bytes, as the kernel has them. `''` with AT_EMPTY_PATH means the descriptor itself, which may be an O_PATH one.
 * Times are nanoseconds since 1970. See native.ts for what holds of all of them.
 */
export interface NativeFiles {
  mkdirat(dirfd: number, name: Name, mode: number): void;
  symlinkat(target: Name, dirfd: number, name: Name): void;
  /** `flags`: AT_EMPTY_PATH; without AT_SYMLINK_FOLLOW a symbolic link is linked itself. */
  linkat(oldDirfd: number, oldName: Name, newDirfd: number, newName: Name, flags: number): void;
  /** `mode` has the type (S_IFCHR, S_IFIFO …) too. */
  mknodat(dirfd: number, name: Name, mode: number, major: number, minor: number): void;
  /** `flags`: AT_REMOVEDIR for a directory. */
  unlinkat(dirfd: number, name: Name, flags: number): void;
  /** `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE. */
  renameat2(oldDirfd: number, oldName: Name, newDirfd: number, newName: Name, flags: number): void;
  readlinkat(dirfd: number, name: Name): Buffer;
  /** The next names in a directory that is open for reading, `.` and `..` among them; none at its end. */
  getdents(fd: number): DirectoryEntry[];

  /** statx(2). null when there is no such name (ENOENT). */
  fstatat(dirfd: number, name: Name, flags: number): FileStatus | null;
  /** An id of 2^32-1 leaves what is. `flags`: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
  fchownat(dirfd: number, name: Name, uid: number, gid: number, flags: number): void;
  /** fchmodat2(2), and before Linux 6.6 the same by a descriptor. `flags`: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. A symbolic link is EOPNOTSUPP. */
  fchmodat(dirfd: number, name: Name, mode: number, flags: number): void;
  /** undefined leaves that time. `flags`: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
  utimensat(dirfd: number, name: Name, atimeNs: bigint | undefined, mtimeNs: bigint | undefined, flags: number): void;

  /** Of the file that the descriptor is, an O_PATH one too: so also of a symbolic link or a device. */
  setxattr(fd: number, name: Name, value: Uint8Array, flags?: number): void;
  /** null when it has none of this name. */
  getxattr(fd: number, name: Name): Buffer | null;
  /** The names; none where the file system has no extended attributes. */
  listxattr(fd: number): Buffer[];
  removexattr(fd: number, name: Name): void;

  /** All of `bytes`, at `position` (pwrite) or where the file is at. */
  write(fd: number, bytes: Uint8Array, position?: number): void;
  /** -1 for ENXIO: SEEK_DATA or SEEK_HOLE found nothing more. */
  lseek(fd: number, offset: number, whence: number): number;
  ftruncate(fd: number, size: number): void;
  /** copy_file_range(2): how many bytes were copied, perhaps fewer than asked for; 0 at the end. */
  copyFileRange(fdIn: number, offsetIn: number, fdOut: number, offsetOut: number, size: number): number;
  /** Everything of the file system that the descriptor is on is on the disk. */
  syncfs(fd: number): void;
}

export type Name = string | Uint8Array;

export interface DirectoryEntry {
  readonly name: Buffer;
  /** S_IFREG and so on; 0 where the file system does not tell. */
  readonly type: number;
}

export interface FileStatus {
  /** With the type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** In bytes. */
  readonly size: number;
  /** Of 512 bytes. */
  readonly blocks: number;
  readonly ino: bigint;
  /** major << 32 | minor. */
  readonly dev: bigint;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}
