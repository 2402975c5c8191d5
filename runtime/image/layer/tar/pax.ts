/**
 * The records of an extended header: `LENGTH KEYWORD=VALUE\n`, any number of them, for the next entry or (global) all that follow. Values are
 * bytes: SCHILY.xattr.* holds an extended attribute as it is. POSIX.1-2017 pax(1), "pax Extended Header"
 */
import { malformed } from './bytes.js';
import type { Xattr } from './types.js';

/** By keyword. GNU.sparse.offset and .numbytes come again and again: their values are joined by commas. */
export type PaxRecords = Pick<ReadonlyMap<string, Buffer>, 'get' | 'has'>;

/** Of one extended header, and of all global ones: ten times what an entry with as many attributes as it may have needs. */
export const MAX_RECORDS = 1000;
/** Of one extended header or long name, and of all global records, in bytes: room for several attributes of the greatest size there is. */
export const MAX_EXTENSION = 1 << 20;

const XATTR = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';
const REPEATED = ['GNU.sparse.offset', 'GNU.sparse.numbytes'];

/** @throws TareError `protocol`; `at` is where the header is */
export function parsePax(data: Buffer, at: number): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  const extents: string[] = [];
  for (let start = 0; start < data.length; ) {
    const space = data.indexOf(0x20, start);
    const digits = space > start && space - start <= 8 ? data.toString('latin1', start, space) : '';
    const length = /^[0-9]+$/.test(digits) ? Number(digits) : 0;
    const end = start + length;
    const equals = data.indexOf(0x3d, space + 1);
    // A length of nothing would come back here for ever.
    if (length === 0 || end > data.length || end <= space + 1 || data[end - 1] !== 0x0a || equals < 0 || equals >= end)
      throw malformed(at, 'an extended header has a malformed record');
    const key = data.toString('latin1', space + 1, equals);
    if (key === '' || key.includes('\0')) throw malformed(at, 'an extended header has a malformed keyword');
    const value = Buffer.from(data.subarray(equals + 1, end - 1));
    if (REPEATED.includes(key)) extents.push(pair(key, value, extents.length, at));
    else records.set(key, value);
    if (records.size > MAX_RECORDS) throw malformed(at, `an extended header has more than ${MAX_RECORDS} records`);
    start = end;
  }
  if (extents.length > 0) records.set('GNU.sparse.map', Buffer.from(extents.join(',')));
  return records;
}

/** Of both writers: star's, whose values are bytes, and libarchive's, which also escapes. An attribute that both name is star's. */
export function xattrsOf(records: ReadonlyMap<string, Buffer>, at: number): Xattr[] {
  const found = new Map<string, Buffer>();
  for (const [key, value] of records)
    if (key.startsWith(LIBARCHIVE_XATTR)) {
      const name = key
        .slice(LIBARCHIVE_XATTR.length)
        .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
      found.set(name, Buffer.from(value.toString('latin1'), 'base64'));
    }
  for (const [key, value] of records) if (key.startsWith(XATTR)) found.set(key.slice(XATTR.length), value);
  return [...found].map(([name, value]) => {
    if (name === '' || name.includes('\0')) throw malformed(at, 'an extended attribute has no proper name');
    return { name: Buffer.from(name, 'latin1'), value };
  });
}

/** A text without NUL, such as `path`; undefined when there is none, or an empty one, which takes back a global one. */
export function paxText(records: PaxRecords, key: string, at: number): Buffer | undefined {
  const value = records.get(key);
  if (value === undefined || value.length === 0) return undefined;
  if (value.includes(0)) throw malformed(at, `its ${key} has a NUL byte`);
  return value;
}

/** A decimal number that is not negative. */
export function paxNumber(records: PaxRecords, key: string, at: number): number | undefined {
  const text = paxText(records, key, at)?.toString('latin1');
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(value)) throw malformed(at, `its ${key} is no number`);
  return value;
}

/** Seconds with a fraction, in nanoseconds; digits beyond them are cut. */
export function paxTime(records: PaxRecords, key: string, at: number): bigint | undefined {
  const text = paxText(records, key, at)?.toString('latin1');
  if (text === undefined) return undefined;
  const match = /^(-?)([0-9]{1,20})(?:\.([0-9]{0,100}))?$/.exec(text);
  if (!match) throw malformed(at, `its ${key} is no time`);
  const value = BigInt(match[2] as string) * 1_000_000_000n + BigInt((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  return inRange(match[1] === '-' ? -value : value);
}

/** What a file system can hold: 64 bits of nanoseconds. Beyond them is no time that anybody has set, so it is none. */
export function inRange(nanoseconds: bigint): bigint {
  return BigInt.asIntN(64, nanoseconds) === nanoseconds ? nanoseconds : 0n;
}

function pair(key: string, value: Buffer, count: number, at: number): string {
  const text = value.toString('latin1');
  if (key !== REPEATED[count % 2] || !/^[0-9]{1,16}$/.test(text))
    throw malformed(at, 'the map of a sparse file is malformed');
  return text;
}
