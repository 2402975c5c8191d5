/**
 * Writes an archive: ustar, and before an entry an extended header for what ustar cannot say (long or foreign names, large numbers, parts of a
 * second, attributes, holes). The same entries give the same bytes: nothing of this machine or moment is in it. POSIX.1-2017 pax(1)
 */
import { TareError } from '../../../kernel/error.js';
import { showName } from './bytes.js';
import { paxRecord } from './pax-record.js';
import { BLOCK, type Extent, type TarHeader, type TarType, type Xattr } from './types.js';

/**
 * Takes the archive's bytes, small ones gathered; they are the sink's to keep, but for those of `content`. When it returns a promise no more come
 * before that has resolved.
 */
export type TarSink = (bytes: Uint8Array) => void | Promise<void>;

/** What is not said is nothing: owner 0, the time 0, no link. */
export type NewEntry = Pick<TarHeader, 'type' | 'name' | 'mode'> & Partial<TarHeader>;

/** Bytes, or several after one another. */
export type TarContent = Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

const FLAGS: Readonly<Record<TarType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** Headers and small files go to the sink together: each call of it may be a turn of a thread pool. */
const GATHERED = 1 << 17;

export class TarWriter {
  readonly #sink: TarSink;
  #gathered = Buffer.allocUnsafeSlow(GATHERED);
  #length = 0;
  #finished = false;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /**
   * Adds an entry. A folder's name gets its final `/`. Of a file `content` must have as many bytes as its size; of a sparse one as many as its
   * extents, one after the other.
   * @throws TareError `internal` when it has not; `usage` for a name or number that no archive can hold
   */
  async add(entry: NewEntry, content: TarContent = new Uint8Array(0)): Promise<void> {
    if (this.#finished) throw new TareError('internal', 'an archive is written to after its end');
    const map = entry.sparse ? sparseMap(entry.sparse) : Buffer.alloc(0);
    const packed = entry.sparse?.reduce((sum, { size }) => sum + size, 0) ?? entry.size ?? 0;
    const stored = entry.type === 'file' ? map.length + packed : 0;
    const records = new Map<string, Buffer>();
    const block = headerBlock(entry, stored, records);
    if (records.size > 0) await this.#put(extendedHeader(records, entry.name));
    await this.#put(block);
    if (stored === 0) return;
    if (map.length > 0) await this.#put(map);
    let size = 0;
    for await (const chunk of content instanceof Uint8Array ? [content] : content) {
      size += chunk.length;
      if (size > packed) break;
      await this.#put(chunk);
    }
    if (size !== packed)
      throw new TareError(
        'internal',
        `${showName(entry.name)} should have ${packed} bytes and has ${size > packed ? 'more' : size}`,
      );
    const padding = (BLOCK - (stored % BLOCK)) % BLOCK;
    if (padding > 0) await this.#put(Buffer.alloc(padding));
  }

  /** The end of the archive: two blocks of zeros. */
  async finish(): Promise<void> {
    this.#finished = true;
    await this.#put(Buffer.alloc(2 * BLOCK));
    await this.#flush();
  }

  async #put(bytes: Uint8Array): Promise<void> {
    if (this.#length + bytes.length > GATHERED) await this.#flush();
    if (bytes.length > GATHERED / 4) {
      await this.#flush();
      await this.#sink(bytes);
      return;
    }
    this.#gathered.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  async #flush(): Promise<void> {
    if (this.#length === 0) return;
    const full = this.#gathered.subarray(0, this.#length);
    this.#gathered = Buffer.allocUnsafeSlow(GATHERED);
    this.#length = 0;
    await this.#sink(full);
  }
}

/** What does not fit goes to `records`. */
function headerBlock(entry: NewEntry, stored: number, records: Map<string, Buffer>): Buffer {
  const block = Buffer.alloc(BLOCK);
  const name = nameOf(entry);
  if (entry.sparse) {
    // Readers that know no sparse files see a file of another name, with the map before its data.
    const [major, minor] = ['1', '0'];
    records.set('GNU.sparse.major', Buffer.from(major)).set('GNU.sparse.minor', Buffer.from(minor));
    records.set('GNU.sparse.name', name).set('GNU.sparse.realsize', Buffer.from(String(entry.size ?? 0)));
  }
  writeName(block, name, records);
  writeText(block, 157, 100, entry.linkName ?? Buffer.alloc(0), 'linkpath', records);
  writeNumber(block, 100, 8, entry.mode & 0o7777, undefined, records);
  writeNumber(block, 108, 8, entry.uid ?? 0, 'uid', records);
  writeNumber(block, 116, 8, entry.gid ?? 0, 'gid', records);
  writeNumber(block, 124, 12, stored, 'size', records);
  writeTime(block, entry.mtimeNs ?? 0n, records);
  if (entry.atimeNs !== undefined) records.set('atime', timeText(entry.atimeNs));
  block.write(`${FLAGS[entry.type]}`, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  const isDevice = entry.type === 'character' || entry.type === 'block';
  writeNumber(block, 329, 8, isDevice ? (entry.major ?? 0) : 0, undefined, records);
  writeNumber(block, 337, 8, isDevice ? (entry.minor ?? 0) : 0, undefined, records);
  for (const xattr of entry.xattrs ?? []) records.set(...xattrRecord(xattr));
  return summed(block);
}

function nameOf({ type, name }: NewEntry): Buffer {
  if (name.length === 0 || name.includes(0)) throw new TareError('usage', `${showName(name)} is no name in an archive`);
  return type === 'directory' && name.at(-1) !== 0x2f ? Buffer.concat([name, Buffer.from('/')]) : name;
}

/** In 100 bytes, or split at a `/` with up to 155 before it. */
function writeName(block: Buffer, name: Buffer, records: Map<string, Buffer>): void {
  if (isAscii(name) && name.length > 100 && name.length <= 256) {
    const slash = name.lastIndexOf(0x2f, 155);
    const rest = name.length - slash - 1;
    if (slash > 0 && rest > 0 && rest <= 100) {
      name.copy(block, 345, 0, slash);
      name.copy(block, 0, slash + 1);
      return;
    }
  }
  writeText(block, 0, 100, name, 'path', records);
}

/** Only ASCII means the same to every reader: the rest is in the extended header, as the bytes that it is. */
function writeText(
  block: Buffer,
  at: number,
  length: number,
  text: Buffer,
  key: string,
  records: Map<string, Buffer>,
): void {
  if (text.includes(0)) throw new TareError('usage', `${showName(text)} cannot stand in an archive`);
  if (text.length > length || !isAscii(text)) records.set(key, text);
  ascii(text).copy(block, at, 0, length);
}

function writeNumber(
  block: Buffer,
  at: number,
  length: number,
  value: number,
  key: string | undefined,
  records: Map<string, Buffer>,
): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new TareError('usage', `${value} cannot stand in an archive`);
  const digits = value.toString(8);
  const fits = digits.length < length;
  if (!fits && key === undefined) throw new TareError('usage', `${value} cannot stand in an archive`);
  if (!fits && key !== undefined) records.set(key, Buffer.from(String(value)));
  block.write(`${(fits ? digits : '').padStart(length - 1, '0')}\0`, at, 'latin1');
}

function writeTime(block: Buffer, nanoseconds: bigint, records: Map<string, Buffer>): void {
  const seconds = nanoseconds / 1_000_000_000n;
  const fits = nanoseconds >= 0n && seconds < 1n << 33n;
  if (!fits || nanoseconds % 1_000_000_000n !== 0n) records.set('mtime', timeText(nanoseconds));
  writeNumber(block, 136, 12, fits ? Number(seconds) : 0, undefined, records);
}

function timeText(nanoseconds: bigint): Buffer {
  const absolute = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = String(absolute % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const whole = String(absolute / 1_000_000_000n);
  return Buffer.from(`${nanoseconds < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`);
}

/** star's way, which all engines read. A `=` in the name would end the keyword: libarchive's way escapes it. */
function xattrRecord({ name, value }: Xattr): [string, Buffer] {
  const text = name.toString('latin1');
  if (!text.includes('=')) return [`SCHILY.xattr.${text}`, value];
  const escaped = text.replace(
    /[^a-zA-Z0-9._-]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return [`LIBARCHIVE.xattr.${escaped}`, Buffer.from(value.toString('base64').replace(/=+$/, ''))];
}

/** An entry of its own, of the same name in a folder `PaxHeaders`, for readers that take it for a file. */
function extendedHeader(records: ReadonlyMap<string, Buffer>, name: Buffer): Buffer {
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1));
  const data = Buffer.concat(sorted.map(([key, value]) => paxRecord(Buffer.from(key, 'latin1'), value)));
  const block = Buffer.alloc(BLOCK);
  const base = ascii(name).toString('latin1').replace(/\/+$/, '').split('/').at(-1) ?? '';
  block.write(`PaxHeaders/${base.slice(0, 80)}`, 0, 'latin1');
  block.write('0000644\x000000000\x000000000\0', 100, 'latin1');
  block.write(`${data.length.toString(8).padStart(11, '0')}\x0000000000000\0`, 124, 'latin1');
  block.write('x', 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  return Buffer.concat([summed(block), data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);
}

/** As PAX 1.0 has it: the number of extents, then each, a number a line. */
function sparseMap(extents: readonly Extent[]): Buffer {
  const text = Buffer.from(
    [extents.length, ...extents.flatMap(({ offset, size }) => [offset, size])].map((n) => `${n}\n`).join(''),
  );
  return Buffer.concat([text, Buffer.alloc((BLOCK - (text.length % BLOCK)) % BLOCK)]);
}

function summed(block: Buffer): Buffer {
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0`, 148, 'latin1');
  return block;
}

function isAscii(text: Buffer): boolean {
  return text.every((byte) => byte < 0x80);
}

function ascii(text: Buffer): Buffer {
  return isAscii(text) ? text : Buffer.from(text.map((byte) => (byte < 0x80 ? byte : 0x5f)));
}
