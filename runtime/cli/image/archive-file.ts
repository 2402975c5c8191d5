/** Archives that are read: files, or standard input, which is not for a terminal. What waits for a pipe ends by a signal. */
import { createReadStream, fstatSync, readSync, statSync } from 'node:fs';
import { isatty } from 'node:tty';
import { native } from '../../kernel/addon.js';
import { TareError } from '../../kernel/error.js';

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
