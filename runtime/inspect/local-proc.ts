/**
 * The ProcSource of this machine: plain reads of the reader's own /proc. Files there have no size and may grow while they
 * are read, so a read goes on until nothing comes, and stops at the bound.
 */
import { open, readdir, readlink, stat } from 'node:fs/promises';
import type { FileFacts, ProcSource } from './proc-source.js';

const DEFAULT_MAX = 4 << 20;
const CHUNK = 16_384;

/** Reads this machine, with the rights and in the namespaces of the calling process. */
export function localProc(): ProcSource {
  return { readFile, readlink: (path) => readlink(path), readdir: (path) => readdir(path), stat: facts };
}

async function readFile(path: string, maxBytes = DEFAULT_MAX): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const parts: Buffer[] = [];
    let total = 0;
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, null);
      if (bytesRead === 0) return Buffer.concat(parts, total);
      total += bytesRead;
      if (total > maxBytes) throw tooBig(path, maxBytes);
      parts.push(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

async function facts(path: string): Promise<FileFacts> {
  const { dev, ino, mode, uid, gid, size, rdev } = await stat(path);
  return { dev, ino, mode, uid, gid, size, rdev };
}

function tooBig(path: string, maxBytes: number): NodeJS.ErrnoException {
  return Object.assign(new Error(`EFBIG: file is larger than ${maxBytes} bytes, read '${path}'`), {
    code: 'EFBIG',
    syscall: 'read',
    path,
  });
}
