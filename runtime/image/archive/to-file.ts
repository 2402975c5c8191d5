/**
 * Archives that are written: to a file, which gets its name when it is whole and goes when the work fails, or to standard output, which is not for a
 * terminal. write(2), rename(2)
 */
import { randomBytes } from 'node:crypto';
import { statSync, write } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import { TareError } from '../../kernel/error.js';
import type { TarSink } from '../layer/index.js';

/**
 * @param path a file; `-`, or nothing, is standard output
 * @throws TareError `usage` for a terminal, `not-found` for a folder that is not there, `no-space`, `permission`; what `work` throws
 */
export async function writeArchive(path: string | undefined, work: (sink: TarSink) => Promise<void>): Promise<void> {
  if (path === undefined || path === '-') {
    if (isatty(1))
      throw new TareError('usage', 'an archive is not for a terminal: give --output FILE, or redirect standard output');
    return whileRead(work);
  }
  // A device or a pipe is written to as it is.
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) return intoFile(path, 'w', path, work);
  const temporary = join(dirname(resolve(path)), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    await intoFile(temporary, 'wx', path, work);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** To standard output. A reader that has gone wants no more: that is no failure. */
async function whileRead(work: (sink: TarSink) => Promise<void>): Promise<void> {
  let gone: unknown;
  const sink: TarSink = async (chunk) => {
    try {
      await writeAll(1, chunk, 'standard output');
    } catch (error) {
      // The pipe's reader has ended, or the terminal has been closed.
      const { code = '' } = (error as Error).cause as NodeJS.ErrnoException;
      if (code === 'EPIPE' || code === 'EIO') gone = error;
      throw error;
    }
  };
  try {
    await work(sink);
  } catch (error) {
    if (gone === undefined || error !== gone) throw error;
  }
}

async function intoFile(
  path: string,
  flags: string,
  name: string,
  work: (sink: TarSink) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags, 0o666).catch((error: unknown) => {
    throw explain(error, name);
  });
  try {
    await work((chunk) => writeAll(file.fd, chunk, name));
  } finally {
    await file.close();
  }
}

const writeSome = promisify(write) as unknown as (
  fd: number,
  data: Uint8Array,
) => Promise<{ readonly bytesWritten: number }>;

async function writeAll(fd: number, chunk: Uint8Array, name: string): Promise<void> {
  for (let rest = chunk; rest.length > 0; ) {
    try {
      const { bytesWritten } = await writeSome(fd, rest);
      rest = rest.subarray(bytesWritten);
    } catch (error) {
      // Somebody else with whom we share it has made it non-blocking.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw explain(error, name);
      await sleep(2);
    }
  }
}

function explain(error: unknown, name: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new TareError('no-space', `${name} cannot be written: the disk is full`, { cause: error });
  if (code === 'EPIPE')
    return new TareError('system-call', `${name} cannot be written: nobody reads it any more`, { cause: error });
  if (code === 'EISDIR')
    return new TareError('usage', `${name} is a folder: the archive needs a name in it`, { cause: error });
  if (code === 'ENOENT')
    return new TareError('not-found', `${name} cannot be made: its folder does not exist`, { cause: error });
  return new TareError(code === 'EACCES' || code === 'EPERM' ? 'permission' : 'system-call', `${name}: ${message}`, {
    cause: error,
  });
}
