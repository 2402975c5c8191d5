/**
 * Reads an archive, entry by entry: each with all that the headers before it say of it. ustar, PAX with global headers, GNU's long names,
 * sparse files of both, and the oldest. Whatever cannot be meant is refused with its place; nothing that a header announces is allocated
 * unseen. tar(5)
 */
import { malformed, showName } from './bytes.js';
import { parseHeader, type RawHeader } from './header.js';
import { inRange, MAX_EXTENSION, parsePax, paxNumber, paxText, paxTime } from './pax.js';
import { PaxGlobals } from './pax-globals.js';
import { ByteReader } from './source.js';
import { checkMap, oldGnuMap, paxMap, type SparseMap } from './sparse.js';
import { BLOCK, type TarEntry, TYPE_FLAGS } from './types.js';

const MAX_ID = 2 ** 32 - 2;

/** What has been read for the entry to come. */
interface Extensions {
  readonly global: PaxGlobals;
  local: ReadonlyMap<string, Buffer>;
  longName?: Buffer;
  longLink?: Buffer;
}

/**
 * The entries of an archive, in order. The stream is read to its end, also behind the end of the archive. An archive that ends without the
 * two blocks of zeros is whole, as for GNU tar and Go, when it ends between entries.
 * @throws TareError `protocol` with the place
 */
export async function* tarEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, void> {
  const reader = new ByteReader(source);
  const extensions: Extensions = { global: new PaxGlobals(), local: new Map() };
  try {
    for (;;) {
      const at = reader.position;
      const block = await reader.exactlyOrEnd(BLOCK, 'a header');
      if (!block) break;
      if (isZero(block)) {
        const second = await reader.exactlyOrEnd(BLOCK, 'the end of the archive');
        if (second && !isZero(second)) throw malformed(at, 'a block of zeros is followed by more');
        break;
      }
      const header = parseHeader(block, at);
      if (await readExtension(header, extensions, reader, at)) continue;
      const left = { bytes: 0, padding: 0 };
      yield await readEntry(block, header, extensions, reader, at, left);
      Object.assign(extensions, { local: new Map(), longName: undefined, longLink: undefined });
      await reader.skip(left.bytes + left.padding, 'the data of an entry');
    }
    if (extensions.local.size > 0 || extensions.longName || extensions.longLink)
      throw malformed(reader.position, 'an extended header has no entry');
    await reader.drain();
  } finally {
    await reader.close();
  }
}

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/** True when the header is about the entry to come. */
async function readExtension(
  header: RawHeader,
  extensions: Extensions,
  reader: ByteReader,
  at: number,
): Promise<boolean> {
  if (!'xgXLK'.includes(header.flag)) return false;
  if (header.size < 0 || header.size > MAX_EXTENSION)
    throw malformed(at, `an extended header is longer than ${MAX_EXTENSION} bytes`);
  const data = header.size === 0 ? Buffer.alloc(0) : await reader.exactly(header.size, 'an extended header');
  await reader.skip(paddingOf(header.size), 'an extended header');
  switch (header.flag) {
    case 'g':
      extensions.global.add(parsePax(data, at), at);
      break;
    case 'L':
      extensions.longName = untilNul(data);
      break;
    case 'K':
      extensions.longLink = untilNul(data);
      break;
    default: // 'x', and 'X' of Solaris before there was a standard
      extensions.local = parsePax(data, at);
  }
  return true;
}

function untilNul(data: Buffer): Buffer {
  const end = data.indexOf(0);
  return Buffer.from(end < 0 ? data : data.subarray(0, end));
}

async function readEntry(
  block: Buffer,
  header: RawHeader,
  { global, local, longName, longLink }: Extensions,
  reader: ByteReader,
  at: number,
  left: { bytes: number; padding: number },
): Promise<TarEntry> {
  const records = global.below(local);
  const name = longName ?? paxText(records, 'GNU.sparse.name', at) ?? paxText(records, 'path', at) ?? header.name;
  if (name.length === 0) throw malformed(at, 'an entry has no name');
  const type = header.flag === '\0' && name.at(-1) === 0x2f ? 'directory' : TYPE_FLAGS[header.flag];
  if (!type) throw malformed(at, `${showName(name)} has the unknown type ${showName(header.flag)}`);
  // No data follows the others, whatever their headers say: so do the readers of all engines, which are Go's.
  const stored = type === 'file' ? (paxNumber(records, 'size', at) ?? header.size) : 0;
  if (!Number.isSafeInteger(stored) || stored < 0) throw malformed(at, `${showName(name)} has an impossible size`);
  let map: SparseMap | undefined;
  if (type === 'file') {
    map =
      header.flag === 'S' ? await oldGnuMap(Buffer.from(block), reader, at) : await paxMap(records, stored, reader, at);
    if (map) checkMap(map, stored, at);
  }
  left.bytes = stored - (map?.mapBytes ?? 0);
  left.padding = paddingOf(stored);
  return {
    type,
    name,
    linkName: longLink ?? paxText(records, 'linkpath', at) ?? header.linkName,
    mode: header.mode,
    uid: id(paxNumber(records, 'uid', at) ?? header.uid, name, at),
    gid: id(paxNumber(records, 'gid', at) ?? header.gid, name, at),
    size: map ? map.size : stored,
    mtimeNs: paxTime(records, 'mtime', at) ?? inRange(BigInt(header.mtime) * 1_000_000_000n),
    ...(records.has('atime') && { atimeNs: paxTime(records, 'atime', at) }),
    major: header.major,
    minor: header.minor,
    xattrs: global.xattrsWith(local, at),
    ...(map && { sparse: map.extents }),
    at,
    stored: left.bytes,
    chunks: () => chunksOf(reader, left, name),
  };
}

async function* chunksOf(
  reader: ByteReader,
  left: { bytes: number },
  name: Buffer,
): AsyncGenerator<Buffer, void, void> {
  while (left.bytes > 0) {
    const chunk = await reader.some(left.bytes);
    if (!chunk) throw malformed(reader.position, `it ends within ${showName(name)}`);
    left.bytes -= chunk.length;
    yield chunk;
  }
}

/** An id that would become another one, or "leave it", is none: CVE-2024-40635. */
function id(value: number, name: Buffer, at: number): number {
  if (!Number.isInteger(value) || value < 0 || value > MAX_ID)
    throw malformed(at, `${showName(name)} has the impossible owner ${value}`);
  return value;
}

function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
