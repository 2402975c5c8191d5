/**
 * A tree of files that is copied from: the build context, a stage, an image. Held by the descriptor of its root; symbolic links in it are
 * followed as if the root were `/`, so nothing outside can be reached. Names are bytes, kept as latin1 strings. openat2(2)
 */
import { native } from '../../../kernel/addon.js';
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from '../../../kernel/constants/open.js';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../../../kernel/constants/stat.js';
import { TareError } from '../../../kernel/error.js';
import { OwnedFd } from '../../../kernel/fd.js';
import { entriesOf } from '../../../kernel/folder.js';
import type { FileStatus } from '../../../kernel/native-files.js';
import type { IgnoreRules } from './ignore.js';

export interface SourceTree {
  /** Its root, open with O_PATH or for reading; the tree's owner closes it. */
  readonly root: number;
  /** What of it is not to be seen. */
  readonly ignore?: IgnoreRules;
  /** Folders that are no part of it, by `identityOf`: Tare's own, which would grow while they are copied. */
  readonly hidden?: ReadonlySet<string>;
  /** For errors: `the build context`, `the stage "build"`. */
  readonly name: string;
}

/** As people write it, from the bytes it is. */
export function shown(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** The bytes of what people write. */
export function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

export function asName(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

export function isDirectory({ mode }: FileStatus): boolean {
  return (mode & S_IFMT) === S_IFDIR;
}

/** The same for the same file, by whatever name. */
export function identityOf({ dev, ino }: FileStatus): string {
  return `${dev}:${ino}`;
}

export function isSymlink({ mode }: FileStatus): boolean {
  return (mode & S_IFMT) === S_IFLNK;
}

/** A name in a folder, opened with O_PATH and not followed; undefined when there is none. */
export function openName(folder: number, name: string): OwnedFd | undefined {
  return openBeneath(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/** A folder in a folder, for reading. @throws TareError `not-found` when it is gone, or no folder any more */
export function openFolder(folder: number, name: string): OwnedFd {
  const fd = openBeneath(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (!fd)
    throw new TareError('not-found', `${JSON.stringify(shown(name))} was removed, or exchanged, while it was copied`);
  return fd;
}

function openBeneath(folder: number, name: string, flags: number): OwnedFd | undefined {
  try {
    return new OwnedFd(native.openat2(folder, asName(name), flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
  } catch (error) {
    if (error instanceof TareError && ABSENT.has(error.syscall?.errno ?? '')) return undefined;
    throw error;
  }
}

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

export function statusOf(fd: number): FileStatus {
  const status = native.fstatat(fd, '', AT_EMPTY_PATH);
  if (!status) throw new TareError('internal', 'an open descriptor has no status');
  return status;
}

/** Names in a folder that is open for reading, in the order of their bytes. */
export function namesIn(folder: number): string[] {
  return [...entriesOf(folder)].map(({ name }) => name.toString('latin1')).sort((a, b) => (a < b ? -1 : 1));
}
