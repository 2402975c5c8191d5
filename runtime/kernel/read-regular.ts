/**
 * Reading a file that somebody else wrote, or put a link for: only a regular file, and only so much of it. A FIFO would wait for
 * a writer, and /dev/zero has no end. open(2), O_NONBLOCK.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { O_CLOEXEC, O_NONBLOCK, O_RDONLY } from './constants/open.js';

/** How such a file is opened: O_NONBLOCK, since opening a FIFO waits as well. */
export const OPEN_UNTRUSTED = O_RDONLY | O_NONBLOCK | O_CLOEXEC;

/** All that is in the file, from where the descriptor is. @throws Error for anything but a regular file of at most `most` bytes */
export function readRegular(fd: number, most: number): Buffer {
  if (!fstatSync(fd).isFile()) throw new Error('it is not a regular file');
  const chunks: Buffer[] = [];
  for (let size = 0; ; ) {
    // Files of /proc say that they have no bytes, so what it has is known when it ends.
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK, most + 1 - size));
    const read = readSync(fd, chunk);
    if (read === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, read));
    size += read;
    if (size > most) throw new Error(`it has more than ${most} bytes`);
  }
}

/**
 * The same for a descriptor that was opened with O_PATH, and so has not opened the file itself yet: what is no regular file never is. To open
 * a device may do things (/dev/watchdog resets the machine), and a hostile image may have devices.
 */
export function readRegularByPath(fd: number, most: number): Buffer {
  if (!fstatSync(fd).isFile()) throw new Error('it is not a regular file');
  const file = openSync(`/proc/self/fd/${fd}`, OPEN_UNTRUSTED);
  try {
    return readRegular(file, most);
  } finally {
    closeSync(file);
  }
}

const CHUNK = 64 * 1024;
