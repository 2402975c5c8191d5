/**
 * One file put into a folder: what was there under its name goes, unless it is a folder; then come data, owner, mode, attributes and times, in
 * an order in which none undoes another. By the folder's descriptor and the new file's own, never by a path. chown(2) takes set-id bits and
 * capabilities away, so it is before them.
 */
import { native } from '../../../kernel/addon.js';
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
} from '../../../kernel/constants/open.js';
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../../kernel/constants/stat.js';
import { TareError } from '../../../kernel/error.js';
import { OwnedFd } from '../../../kernel/fd.js';
import type { Attribute } from '../context/attributes.js';
import { asName, isDirectory, openFolder, openName, shown, statusOf } from '../context/tree.js';
import type { Owner } from './owner.js';

/** What a file is, besides its data. */
export interface Facts {
  /** With the type. */
  readonly mode: number;
  readonly owner: Owner;
  readonly mtimeNs?: bigint;
  readonly attributes: readonly Attribute[];
  /** Of a symbolic link. */
  readonly target?: Buffer;
  /** Of a device. */
  readonly major?: number;
  readonly minor?: number;
}

/** Anything but a folder. `write` gets a regular file that is open for writing. @returns false for what is not copied: a socket */
export async function putFile(
  folder: number,
  name: string,
  facts: Facts,
  write: (fd: number) => Promise<void> | void,
): Promise<boolean> {
  const type = facts.mode & S_IFMT;
  if (type === S_IFSOCK) return false;
  makeRoom(folder, name);
  if (type === S_IFREG) {
    using file = new OwnedFd(
      native.openat2(folder, asName(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600, 0),
    );
    await write(file.fd);
    dress(file.fd, facts);
    return true;
  }
  if (type === S_IFLNK) native.symlinkat(facts.target ?? Buffer.alloc(0), folder, asName(name));
  else makeNode(folder, name, facts);
  using made = openName(folder, name);
  if (!made || (statusOf(made.fd).mode & S_IFMT) !== type)
    throw new TareError('state', `${JSON.stringify(shown(name))} was exchanged while it was written`);
  dress(made.fd, facts);
  return true;
}

/** A hard link to a file that has been copied. */
export function putLink(folder: number, name: string, first: { readonly folder: number; readonly name: string }): void {
  makeRoom(folder, name);
  native.linkat(first.folder, asName(first.name), folder, asName(name), 0);
}

/** The folder of this name, made where it is missing. Its own times are set when it is left: see `setTime`. */
export function putFolder(folder: number, name: string, facts: Facts): OwnedFd {
  const there = native.fstatat(folder, asName(name), AT_SYMLINK_NOFOLLOW);
  if (there && !isDirectory(there))
    throw new TareError(
      'config',
      `${JSON.stringify(shown(name))} is a file or a link in the image, and a folder where it is copied from`,
    );
  if (!there) native.mkdirat(folder, asName(name), 0o700);
  const made = openFolder(folder, name);
  try {
    dress(made.fd, facts);
    return made;
  } catch (error) {
    made.close();
    throw error;
  }
}

export function setTime(fd: number, mtimeNs: bigint | undefined): void {
  if (mtimeNs !== undefined) native.utimensat(fd, '', mtimeNs, mtimeNs, AT_EMPTY_PATH);
}

function makeRoom(folder: number, name: string): void {
  const there = native.fstatat(folder, asName(name), AT_SYMLINK_NOFOLLOW);
  if (!there) return;
  if (isDirectory(there))
    throw new TareError(
      'config',
      `${JSON.stringify(shown(name))} is a folder in the image: a file cannot take its place`,
    );
  native.unlinkat(folder, asName(name), 0);
}

function makeNode(folder: number, name: string, { mode, major = 0, minor = 0 }: Facts): void {
  const type = mode & S_IFMT;
  if (type !== S_IFIFO && type !== S_IFCHR && type !== S_IFBLK)
    throw new TareError('unsupported', `${JSON.stringify(shown(name))} is a file of a kind that cannot be copied`);
  // Overlay takes such a device for "removed".
  if (type === S_IFCHR && major === 0 && minor === 0)
    throw new TareError(
      'unsupported',
      `${JSON.stringify(shown(name))} is the device 0:0, which stands for a removed file in layers`,
    );
  native.mknodat(folder, asName(name), (mode & S_IFMT) | 0o600, major, minor);
}

function dress(fd: number, { mode, owner, attributes, mtimeNs }: Facts): void {
  native.fchownat(fd, '', owner.uid, owner.gid, AT_EMPTY_PATH);
  if ((mode & S_IFMT) !== S_IFLNK) {
    native.fchmodat(fd, '', mode & 0o7777, AT_EMPTY_PATH);
    for (const { name, value } of attributes) native.setxattr(fd, name, value);
  }
  setTime(fd, mtimeNs);
}
