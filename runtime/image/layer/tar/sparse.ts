/**
 * Sparse files, in the four ways that GNU tar has written them: extents in the header and in blocks behind it (old GNU), in records of the
 * extended header (PAX 0.0 and 0.1), or as text before the data (PAX 1.0). GNU tar manual, "Storing Sparse Files"
 */
import { malformed } from './bytes.js';
import { number } from './header.js';
import { type PaxRecords, paxNumber, paxText } from './pax.js';
import type { ByteReader } from './source.js';
import { BLOCK, type Extent } from './types.js';

export interface SparseMap {
  readonly extents: readonly Extent[];
  /** The file's size, holes included. */
  readonly size: number;
  /** Of the stored bytes, how many the map itself took. */
  readonly mapBytes: number;
}

/** A map has at most as many extents: 16 MiB of text. */
const MAX_EXTENTS = 500_000;

/** Four extents in the header; a flag says whether a block of 21 more follows. They are before the data, and no part of its size. */
export async function oldGnuMap(header: Buffer, source: ByteReader, at: number): Promise<SparseMap> {
  const size = number(header, 483, 12, at, 'real size');
  const extents: Extent[] = [];
  let block = header;
  let [start, count, more] = [386, 4, 482];
  for (;;) {
    for (let i = 0; i < count; i++) {
      const place = start + i * 24;
      if (block[place] === 0) break;
      extents.push({ offset: number(block, place, 12, at, 'offset'), size: number(block, place + 12, 12, at, 'size') });
    }
    if (extents.length > MAX_EXTENTS) throw malformed(at, 'a sparse file has too many parts');
    if (block[more] === 0) return { extents, size, mapBytes: 0 };
    block = await source.exactly(BLOCK, 'the map of a sparse file');
    [start, count, more] = [0, 21, 504];
  }
}

/** Of an extended header; undefined when it is of no sparse file. */
export async function paxMap(
  records: PaxRecords,
  stored: number,
  source: ByteReader,
  at: number,
): Promise<SparseMap | undefined> {
  const version = `${paxText(records, 'GNU.sparse.major', at) ?? ''}.${paxText(records, 'GNU.sparse.minor', at) ?? ''}`;
  const map = paxText(records, 'GNU.sparse.map', at);
  if (version !== '1.0' && map === undefined) {
    // 0.0 and 0.1 without a part that has data: all of it is one hole.
    if (!records.has('GNU.sparse.numblocks')) return undefined;
  }
  const size = paxNumber(records, 'GNU.sparse.realsize', at) ?? paxNumber(records, 'GNU.sparse.size', at);
  if (size === undefined) throw malformed(at, 'a sparse file has no size');
  if (version === '1.0') {
    const { numbers, mapBytes } = await readMap(stored, source, at);
    return { extents: pairs(numbers, at), size, mapBytes };
  }
  const numbers = (map?.toString('latin1') ?? '').split(',').filter((text) => text !== '');
  return {
    extents: pairs(
      numbers.map((text) => decimal(text, at)),
      at,
    ),
    size,
    mapBytes: 0,
  };
}

/** What must hold of any map, so that what is written stays in the file: ascending, within the size, and as long as what is stored. */
export function checkMap({ extents, size, mapBytes }: SparseMap, stored: number, at: number): void {
  let end = 0;
  let total = 0;
  for (const extent of extents) {
    if (extent.offset < end || extent.size < 0 || !Number.isSafeInteger(extent.offset + extent.size))
      throw malformed(at, 'the map of a sparse file is out of order');
    end = extent.offset + extent.size;
    total += extent.size;
  }
  if (end > size || size < 0) throw malformed(at, 'the map of a sparse file leaves the file');
  if (total !== stored - mapBytes) throw malformed(at, 'the map of a sparse file does not fit its data');
}

/** Numbers, each on a line: how many pairs there are, then the pairs; padded to whole blocks. */
async function readMap(
  stored: number,
  source: ByteReader,
  at: number,
): Promise<{ numbers: number[]; mapBytes: number }> {
  const numbers: number[] = [];
  let mapBytes = 0;
  let text = '';
  for (let wanted = 1; numbers.length < wanted; ) {
    if (mapBytes + BLOCK > roundUp(stored)) throw malformed(at, 'the map of a sparse file has no end');
    text += (await source.exactly(BLOCK, 'the map of a sparse file')).toString('latin1');
    mapBytes += BLOCK;
    const lines = text.split('\n');
    text = lines.pop() as string;
    if (text.length > 20 && numbers.length + lines.length < wanted)
      throw malformed(at, 'the map of a sparse file is no text');
    for (const line of lines) {
      if (numbers.length === wanted) break;
      numbers.push(decimal(line, at));
      if (numbers.length === 1) {
        if ((numbers[0] as number) > MAX_EXTENTS) throw malformed(at, 'a sparse file has too many parts');
        wanted = 1 + 2 * (numbers[0] as number);
      }
    }
  }
  return { numbers: numbers.slice(1), mapBytes };
}

function roundUp(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function decimal(text: string, at: number): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw malformed(at, 'the map of a sparse file is malformed');
  return Number(text);
}

function pairs(numbers: readonly number[], at: number): Extent[] {
  if (numbers.length % 2 !== 0 || numbers.length / 2 > MAX_EXTENTS)
    throw malformed(at, 'the map of a sparse file is malformed');
  return Array.from({ length: numbers.length / 2 }, (_, i) => ({
    offset: numbers[2 * i] as number,
    size: numbers[2 * i + 1] as number,
  }));
}
