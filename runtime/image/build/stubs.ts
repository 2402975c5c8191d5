/**
 * Mount points that only the container of a RUN needed: folders and files that it makes where something is mounted, and that would be left in the
 * layer as empty ones. What was not there before, and is still empty, goes again; so do the folders that were copied up for it.
 * Documentation/filesystems/overlayfs.rst, "Non-directories" and "Directories"
 */
import { readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { native } from '../../kernel/addon.js';
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
} from '../../kernel/constants/open.js';
import { S_IFDIR, S_IFMT } from '../../kernel/constants/stat.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { entriesOf } from '../../kernel/folder.js';
import type { FileStatus } from '../../kernel/native-files.js';

/** What will be made for one mount point. */
export interface Stub {
  /** The deepest folder that is there, without symbolic links, relative to the root: `run`, or empty for the root itself. */
  readonly parent: string;
  /** What is missing below it, one name after the other. */
  readonly missing: readonly string[];
}

/** Which mount points are missing. @param root the layers as one tree, read-only */
export function findStubs(root: number, targets: Iterable<string>): Stub[] {
  return [...targets].flatMap((target) => {
    const names = posix.resolve('/', target).split('/').filter(Boolean);
    for (let there = names.length; there >= 0; there--) {
      const parent = realPath(root, names.slice(0, there).join('/'));
      if (parent !== undefined) return there === names.length ? [] : [{ parent, missing: names.slice(there) }];
    }
    return [];
  });
}

/** Removes those that are still empty. @param upper what the container has changed; nothing runs in it any more */
export function removeStubs(lower: number, upper: string, stubs: readonly Stub[]): void {
  using top = new OwnedFd(native.open(upper, O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const { parent, missing } of stubs) {
    const folders = parent === '' ? [] : parent.split('/');
    for (let depth = missing.length; depth > 0; depth--) {
      const path = [...folders, ...missing.slice(0, depth)];
      if (!removeEmpty(top.fd, path)) break;
    }
    restoreFolders(lower, top.fd, folders);
  }
}

/** The path without symbolic links of what is there; undefined when it is not. */
function realPath(root: number, path: string): string | undefined {
  try {
    using found = new OwnedFd(native.openat2(root, path || '.', O_PATH | O_CLOEXEC, 0, RESOLVE_IN_ROOT));
    // Of a tree that is mounted nowhere this is the path within it.
    return path === '' ? '' : readlinkSync(`/proc/self/fd/${found.fd}`).replace(/^\/+/, '');
  } catch (error) {
    if (error instanceof TareError && ABSENT.has(error.syscall?.errno ?? '')) return undefined;
    throw error;
  }
}

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']);
/** What is not as it was left is the program's, and stays. */
const STAYS = new Set([...ABSENT, 'ENOTEMPTY', 'EXDEV', 'EACCES']);

/** @returns false when it is not there, or not empty */
function removeEmpty(upper: number, path: readonly string[]): boolean {
  return quietly(() => {
    using parent = folderIn(upper, path.slice(0, -1));
    const name = path.at(-1) as string;
    const status = native.fstatat(parent.fd, name, AT_SYMLINK_NOFOLLOW);
    if (!status) return false;
    const isFolder = (status.mode & S_IFMT) === S_IFDIR;
    if (!isFolder && status.size > 0) return false;
    native.unlinkat(parent.fd, name, isFolder ? AT_REMOVEDIR : 0);
    return true;
  });
}

/** Folders that were copied up, and have nothing in them that was changed, go; the root gets its time back. */
function restoreFolders(lower: number, upper: number, folders: readonly string[]): void {
  for (let depth = folders.length; depth >= 0; depth--) {
    const path = folders.slice(0, depth);
    const isLeft = quietly(() => {
      const before = statusIn(lower, path);
      const after = statusIn(upper, path);
      if (!before || !after || !isSame(before, after) || isOpaque(upper, path)) return false;
      if (depth > 0) return removeEmpty(upper, path);
      using root = folderIn(upper, []);
      if (!entriesOf(root.fd).next().done) return false;
      native.utimensat(root.fd, '', before.atimeNs, before.mtimeNs, AT_EMPTY_PATH);
      return true;
    });
    if (!isLeft) return;
  }
}

function isSame(before: FileStatus, after: FileStatus): boolean {
  return before.mode === after.mode && before.uid === after.uid && before.gid === after.gid;
}

/** It stands for a folder that was removed and made again: what was in it is gone. */
function isOpaque(upper: number, path: readonly string[]): boolean {
  using folder = folderIn(upper, path);
  return OPAQUE.some((name) => native.getxattr(folder.fd, name) !== null);
}

const OPAQUE = ['trusted.overlay.opaque', 'user.overlay.opaque'];

function statusIn(root: number, path: readonly string[]): FileStatus | null {
  using folder = folderIn(root, path);
  return native.fstatat(folder.fd, '', AT_EMPTY_PATH);
}

function folderIn(root: number, path: readonly string[]): OwnedFd {
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  return new OwnedFd(native.openat2(root, path.join('/') || '.', flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
}

function quietly(work: () => boolean): boolean {
  try {
    return work();
  } catch (error) {
    if (error instanceof TareError && STAYS.has(error.syscall?.errno ?? '')) return false;
    throw error;
  }
}
