/**
 * Making files and folders. Files that others read at any moment: written under another name and renamed, so that a reader sees the old or the new, never
 * half of it, and a crash leaves the old. rename(2).
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export interface AtomicWriteOptions {
  /** Permission bits; 0600 unless told. */
  readonly mode?: number;
  /**
   * Also survive a power failure: waits for the disk (fsync(2) of file and directory), which takes milliseconds. What lies in /run
   * does not need it.
   */
  readonly durable?: boolean;
}

/** Replaces `path`, or makes it. @throws Node's own error; the old file is untouched then, and no temporary one is left. */
export function writeFileAtomic(path: string, data: string | Uint8Array, options: AtomicWriteOptions = {}): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    writeNew(temporary, data, options);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (options.durable) syncDirectory(dirname(path));
}

/**
 * Makes a folder and those above it, where they are missing. Node's own `recursive` never ends where nothing can be made and
 * the kernel says ENOENT, as in /proc.
 * @throws Node's own error, of the folder that could not be made
 */
export function makeFolders(path: string, mode = 0o700): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = dirname(path);
  if (parent !== path) makeFolders(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Somebody else was faster.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

/** Where nobody can make a folder: in /proc, whose parents are there, below a file, and in the place of one. mkdir(2), ENOENT, ENOTDIR and EEXIST */
export function isUnmakable(error: unknown): error is NodeJS.ErrnoException {
  if (!(error instanceof Error)) return false;
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  if (syscall === 'mkdir') return ['ENOENT', 'ENOTDIR', 'EEXIST'].includes(code);
  return syscall === 'stat' && code === 'ENOTDIR';
}

function writeNew(
  path: string,
  data: string | Uint8Array,
  { mode = 0o600, durable = false }: AtomicWriteOptions,
): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const fd = openSync(path, 'wx', mode);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    if (durable) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
