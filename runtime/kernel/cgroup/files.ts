/**
 * Reading and writing the files of cgroups that are there. A cgroup may go away at any moment, with the container or because
 * somebody removed it: then there is nothing to read (ENOENT, or ENODEV where the file was open already), which is no error here.
 */
import { closeSync, constants, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemCallError } from '../addon.js';
import { TareError } from '../error.js';

/** The text of a file, or undefined when it, or its cgroup, is not there. */
export function readIfThere(directory: string, file: string): string | undefined {
  return unless(GONE, () => readFileSync(join(directory, file), 'utf8'));
}

/** Writes a value, unless the file, or its cgroup, is not there. Says whether it did. */
export function writeIfThere(directory: string, file: string, value: string): boolean {
  return unless(GONE, () => writeValue(directory, file, value)) !== undefined;
}

/** One write(2) of the whole value: the kernel takes each as a command of its own. @throws TareError `system-call` */
export function writeValue(directory: string, file: string, value: string): true {
  const path = join(directory, file);
  let fd: number | undefined;
  try {
    // For writing alone: some files cannot be read. And never with O_CREAT, which a cgroup file system refuses with EACCES.
    fd = openSync(path, constants.O_WRONLY);
    writeSync(fd, value);
  } catch (error) {
    throw asSystemCall(error, path, value);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  return true;
}

/** The number behind a word of a flat keyed file: `populated` of cgroup.events. */
export function keyedValue(text: string | undefined, key: string): string | undefined {
  for (const line of (text ?? '').split('\n')) if (line.startsWith(`${key} `)) return line.slice(key.length + 1).trim();
  return undefined;
}

/** The cgroup and all below it, parents first. */
export function withChildren(directory: string): string[] {
  const below = unless(GONE, () => readdirSync(directory, { withFileTypes: true })) ?? [];
  return [
    directory,
    ...below.filter((entry) => entry.isDirectory()).flatMap(({ name }) => withChildren(join(directory, name))),
  ];
}

/** What the kernel says of a file whose cgroup has been removed. */
const GONE = ['ENOENT', 'ENODEV'];

/** The result, or undefined when it failed with one of these errnos. */
export function unless<T>(errnos: readonly string[], act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    const errno = error instanceof TareError ? error.syscall?.errno : (error as NodeJS.ErrnoException).code;
    if (errno !== undefined && errnos.includes(errno)) return undefined;
    throw error;
  }
}

function asSystemCall(error: unknown, path: string, value: string): unknown {
  const { errno, syscall } = error as NodeJS.ErrnoException;
  if (errno === undefined) return error;
  const args = syscall === 'open' ? JSON.stringify(path) : `${JSON.stringify(path)}, ${JSON.stringify(value)}`;
  return systemCallError(syscall ?? 'write', args, -errno, error);
}
