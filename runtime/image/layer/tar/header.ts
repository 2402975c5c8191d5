/**
 * One block of an archive that is a header: names, numbers and a checksum in fixed places. Three dialects share the first 257 bytes: the
 * oldest, POSIX ustar (with a prefix to the name), and GNU's (with base-256 numbers and sparse files instead of the prefix). tar(5)
 */
import { malformed } from './bytes.js';
import { BLOCK } from './types.js';

/** As it stands there, before extended headers change it. */
export interface RawHeader {
  readonly flag: string;
  readonly name: Buffer;
  readonly linkName: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** In seconds. */
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
  readonly gnu: boolean;
}

/** @throws TareError `protocol` when it is none: a wrong checksum, or what should be a number is not */
export function parseHeader(block: Buffer, at: number): RawHeader {
  checkSum(block, at);
  const magic = block.toString('latin1', 257, 265);
  const gnu = magic === 'ustar  \0';
  const posix = !gnu && magic.startsWith('ustar\0');
  const name = field(block, 0, 100);
  const prefix = posix ? field(block, 345, 155) : Buffer.alloc(0);
  return {
    flag: String.fromCharCode(block[156] as number),
    name: prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), name]) : name,
    linkName: field(block, 157, 100),
    mode: number(block, 100, 8, at, 'mode') & 0o7777,
    uid: number(block, 108, 8, at, 'uid'),
    gid: number(block, 116, 8, at, 'gid'),
    size: number(block, 124, 12, at, 'size'),
    mtime: number(block, 136, 12, at, 'mtime'),
    // The oldest dialect has no such fields.
    major: gnu || posix ? number(block, 329, 8, at, 'devmajor') : 0,
    minor: gnu || posix ? number(block, 337, 8, at, 'devminor') : 0,
    gnu,
  };
}

/** Up to the first NUL. A copy: the block is part of a large buffer that should not be kept for a name. */
export function field(block: Buffer, start: number, length: number): Buffer {
  const end = block.indexOf(0, start);
  return Buffer.from(block.subarray(start, end < 0 || end > start + length ? start + length : end));
}

/**
 * Octal digits between blanks or NULs; or, when the first bit is set, a big-endian binary number in two's complement (GNU, for what octal
 * cannot hold).
 */
export function number(block: Buffer, start: number, length: number, at: number, what: string): number {
  const first = block[start] as number;
  if ((first & 0x80) !== 0) return binary(block.subarray(start, start + length), at, what);
  const text = block.toString('latin1', start, start + length).replace(/^[\0 ]+|[\0 ]+$/g, '');
  const digits = text.split('\0', 1)[0] as string;
  if (!/^[0-7]*$/.test(digits)) throw malformed(at, `its ${what} is no octal number`);
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function binary(bytes: Buffer, at: number, what: string): number {
  const bits = BigInt(bytes.length * 8 - 1);
  const value = BigInt.asIntN(Number(bits), BigInt(`0x${bytes.toString('hex')}`));
  const converted = Number(value);
  if (!Number.isSafeInteger(converted)) throw malformed(at, `its ${what} is too large`);
  return converted;
}

/** The sum of all bytes, its own field taken as blanks. Some old writers summed signed characters. */
function checkSum(block: Buffer, at: number): void {
  const said = number(block, 148, 8, at, 'checksum');
  let sum = 8 * 0x20;
  let high = 0;
  for (let i = 0; i < BLOCK; i++) {
    if (i === 148) i = 156;
    const byte = block[i] as number;
    sum += byte;
    high += byte >> 7;
  }
  if (said !== sum && said !== sum - 256 * high) throw malformed(at, 'a header has a wrong checksum');
}
