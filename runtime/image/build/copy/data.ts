/** The data of a file, by copy_file_range(2) where the kernel can, holes left as holes. lseek(2), SEEK_DATA */
import { closeSync, openSync, readSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { native } from '../../../kernel/addon.js';
import { SEEK_DATA, SEEK_HOLE } from '../../../kernel/constants/files.js';
import { TareError } from '../../../kernel/error.js';
import { OPEN_UNTRUSTED } from '../../../kernel/read-regular.js';

const AT_ONCE = 8 << 20;
/** A file of no more bytes is read and written, holes too: three calls to find and leave them out would cost more than it all. */
const SMALL = Buffer.allocUnsafeSlow(64 << 10);

/** @param from may be an O_PATH descriptor of a regular file @param size as it was when it was looked at */
export async function copyData(from: number, to: number, size: number, signal?: AbortSignal): Promise<void> {
  const file = openSync(`/proc/self/fd/${from}`, OPEN_UNTRUSTED);
  try {
    if (size <= SMALL.length) return copySmall(file, to, size);
    for (let at = 0; at < size; ) {
      const start = native.lseek(file, at, SEEK_DATA);
      if (start < 0 || start >= size) break;
      const hole = native.lseek(file, start, SEEK_HOLE);
      const end = hole < 0 ? size : Math.min(hole, size);
      await copyRange(file, to, start, end, signal);
      at = Math.max(end, start + 1);
    }
    native.ftruncate(to, size);
  } finally {
    closeSync(file);
  }
}

function copySmall(from: number, to: number, size: number): void {
  let at = 0;
  for (let count = -1; at < size && count !== 0; at += count) {
    count = readSync(from, SMALL, 0, size - at, at);
    if (count > 0) native.write(to, SMALL.subarray(0, count), at);
  }
  // It has become shorter meanwhile.
  if (at < size) native.ftruncate(to, size);
}

async function copyRange(from: number, to: number, start: number, end: number, signal?: AbortSignal): Promise<void> {
  for (let at = start; at < end; ) {
    signal?.throwIfAborted();
    const count = copySome(from, to, at, Math.min(end - at, AT_ONCE));
    if (count === 0) return;
    at += count;
    if (count >= AT_ONCE) await breathe();
  }
}

/** Between file systems that do not know each other, by hand. */
function copySome(from: number, to: number, at: number, size: number): number {
  try {
    return native.copyFileRange(from, at, to, at, size);
  } catch (error) {
    if (!(error instanceof TareError) || !BY_HAND.has(error.syscall?.errno ?? '')) throw error;
    const chunk = Buffer.allocUnsafe(Math.min(size, 1 << 20));
    const count = readSync(from, chunk, 0, chunk.length, at);
    native.write(to, chunk.subarray(0, count), at);
    return count;
  }
}

const BY_HAND = new Set(['EXDEV', 'EINVAL', 'EOPNOTSUPP', 'ENOSYS', 'EPERM']);
