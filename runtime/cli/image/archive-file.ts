/**
 * Archives through standard input and output, or as files. A file gets its name when it is whole: until then it has another, under which it goes
 * when the work fails. Neither is for a terminal.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, fstatSync, readSync, statSync, write } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import type { Sink } from '../../image/archive/index.js';
import { native } from '../../kernel/addon.js';
import { TareError } from '../../kernel/error.js';
import { isGone } from '../print.js';

const CHUNK = 1 << 20;
/** What a pipe holds. */
const PIPE_CHUNK = 64 << 10;
/** Of uv_poll. */
const READABLE = 1;
const DISCONNECT = 4;

/** Of a file, or of standard input (`-`). @throws TareError `usage`, `not-found` */
export function readArchive(path: string, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  if (path !== '-') {
    const facts = statSync(path, { throwIfNoEntry: false });
    if (!facts) throw new TareError('not-found', `there is no ${path}`, { path });
    if (facts.isDirectory())
      throw new TareError('usage', `${path} is a folder, no archive: pack it by "tar -C ${path} -c .", and give "-"`, {
        path,
      });
    return createReadStream(path, { highWaterMark: CHUNK, signal });
  }
  if (isatty(0))
    throw new TareError(
      'usage',
      'an archive does not come from a terminal: give --input FILE, or redirect standard input',
    );
  const facts = fstatSync(0);
  if (facts.isFIFO() || facts.isSocket()) return readWhenReady(0, signal);
  // A file, or /dev/null, never keeps us waiting; nor can it be watched.
  return createReadStream('', { fd: 0, autoClose: false, highWaterMark: CHUNK, signal });
}

/** A read that waits could not be taken back: so it is begun only when there is something, and waiting ends by the signal. */
async function* readWhenReady(fd: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, void> {
  for (;;) {
    await ready(fd, signal);
    const buffer = Buffer.allocUnsafe(PIPE_CHUNK);
    const size = readNow(fd, buffer);
    if (size === 0) return;
    if (size !== undefined) yield buffer.subarray(0, size);
  }
}

/** undefined when somebody else with whom we share it was faster. */
function readNow(fd: number, buffer: Buffer): number | undefined {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}

function ready(fd: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const watcher = native.watch(fd, READABLE | DISCONNECT, () => done(resolve));
    const onAbort = () => done(() => reject(signal?.reason));
    const done = (then: () => void) => {
      watcher.close();
      signal?.removeEventListener('abort', onAbort);
      then();
    };
    signal?.addEventListener('abort', onAbort);
  });
}

/** Writes to a file, or to standard output when there is none. @throws TareError `usage`, `no-space`, `permission` */
export async function writeArchive(path: string | undefined, work: (sink: Sink) => Promise<void>): Promise<void> {
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
async function whileRead(work: (sink: Sink) => Promise<void>): Promise<void> {
  let gone: unknown;
  const sink: Sink = async (chunk) => {
    try {
      await writeAll(1, chunk, 'standard output');
    } catch (error) {
      if (isGone((error as Error).cause)) gone = error;
      throw error;
    }
  };
  try {
    await work(sink);
  } catch (error) {
    if (gone === undefined || error !== gone) throw error;
  }
}

async function intoFile(path: string, flags: string, name: string, work: (sink: Sink) => Promise<void>): Promise<void> {
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
  if (code === 'ENOENT')
    return new TareError('not-found', `${name} cannot be made: its folder does not exist`, { cause: error });
  return new TareError(code === 'EACCES' || code === 'EPERM' ? 'permission' : 'system-call', `${name}: ${message}`, {
    cause: error,
  });
}
