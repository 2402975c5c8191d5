/**
 * What bytes are, by how they begin: media types and names of files are often wrong about it. What comes by a pipe is looked at, and then read from its
 * beginning all the same.
 * RFC 1952 section 2.3.1; RFC 8878 section 3.1.1; pax(1), "ustar Interchange Format"
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Compression } from '../../oci/image/index.js';

/** Enough for a header of tar. */
export const SNIFF_BYTES = 512;

/** A stream of which the beginning has been looked at. */
export interface Sniffed {
  /** The first bytes, as many as there are up to `SNIFF_BYTES`. */
  readonly head: Buffer;
  /** All of it, from its beginning, to be read once. */
  readonly whole: AsyncIterable<Uint8Array>;
  /** Lets go of it, for who does not read it: a generator that has not been begun does not end what it reads from. */
  close(): Promise<void>;
}

export async function sniff(source: AsyncIterable<Uint8Array>): Promise<Sniffed> {
  const iterator = source[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  let length = 0;
  let ended = false;
  while (length < SNIFF_BYTES && !ended) {
    const { done, value } = await iterator.next();
    if (done) ended = true;
    // A copy: the memory may be used again for what comes next.
    else parts.push(Buffer.from(value));
    length += done ? 0 : value.length;
  }
  async function* whole() {
    try {
      yield* parts;
      for (let next = ended ? undefined : await iterator.next(); next && !next.done; next = await iterator.next())
        yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  const close = async () => void (await iterator.return?.());
  return { head: Buffer.concat(parts).subarray(0, SNIFF_BYTES), whole: whole(), close };
}

/** Of a file. */
export function firstBytes(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(SNIFF_BYTES);
    return head.subarray(0, readSync(fd, head));
  } finally {
    closeSync(fd);
  }
}

/** By its first bytes. Of a zstd stream the first frame may also be one to be skipped. */
export function compressionOf(head: Buffer): Compression {
  if (head.length >= 3 && head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return 'gzip';
  const magic = head.length >= 4 ? head.readUInt32LE() : 0;
  return magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50 ? 'zstd' : 'none';
}

/** Programs that pack otherwise, by what their files begin with. */
const FOREIGN: readonly [magic: string, name: string][] = [
  ['fd377a585a00', 'xz'],
  ['425a68', 'bzip2'],
  ['504b0304', 'zip'],
  ['04224d18', 'lz4'],
];

/** What Tare does not unpack: `xz`. */
export function foreignCompression(head: Buffer): string | undefined {
  return FOREIGN.find(([magic]) => head.toString('hex').startsWith(magic))?.[1];
}

/** A header with the right sum; or the end, of an archive in which there is nothing. */
export function looksLikeTar(head: Buffer): boolean {
  return isTarHeader(head) || (head.length >= SNIFF_BYTES && head.every((byte) => byte === 0));
}

/** A header with the right sum: that of all bytes, its own taken for blanks. tar(5) */
export function isTarHeader(head: Buffer): boolean {
  if (head.length < SNIFF_BYTES) return false;
  const block = Buffer.from(head.subarray(0, SNIFF_BYTES));
  const said = /^[ 0]*([0-7]{1,6})/.exec(block.toString('latin1', 148, 156))?.[1];
  const sum = block.fill(' ', 148, 156).reduce((total, byte) => total + byte, 0);
  return said !== undefined && Number.parseInt(said, 8) === sum;
}

/** A JSON object or array. */
export function looksLikeJson(head: Buffer): boolean {
  return /^[ \t\r\n]*[[{]/.test(head.toString('latin1'));
}
