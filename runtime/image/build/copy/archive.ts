/**
 * ADD of an archive: tar, plain or packed with gzip, zstd, xz or bzip2, unpacked into a folder of the image over what is there. Names are looked up in
 * the image's root, so a hostile archive reaches nothing else. What is in a file is seen by its content, not by its name.
 */
import { closeSync, createReadStream, openSync, type ReadStream, readSync } from 'node:fs';
import { native } from '../../../kernel/addon.js';
import { AT_SYMLINK_NOFOLLOW } from '../../../kernel/constants/open.js';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../../../kernel/constants/stat.js';
import { TareError } from '../../../kernel/error.js';
import { OPEN_UNTRUSTED } from '../../../kernel/read-regular.js';
import { removeTree } from '../../../kernel/tree.js';
import type { Compression } from '../../../oci/image/index.js';
import {
  type Budget,
  compressionOf,
  DEFAULT_BUDGET,
  decompressed,
  foreignCompression,
  isTarHeader,
  Meter,
  SNIFF_BYTES,
  showName,
  type TarEntry,
  tarEntries,
} from '../../layer/index.js';
import { isCopied } from '../context/attributes.js';
import { resolveIn } from '../context/resolve.js';
import { asName, isDirectory, shown, statusOf } from '../context/tree.js';
import { type Facts, putFile, putFolder, putLink, setTime } from './entry.js';
import type { ModeChange } from './mode.js';
import type { Owner } from './owner.js';
import { makeFolders, ROOT, type TargetFolder } from './target.js';
import { type Unpacker, unpackedBy } from './unpacker.js';

/** How a tar archive is packed: as layers may be, or as programs of the machine can unpack it. */
export type Packing = Compression | Unpacker;

export interface UnpackOptions {
  readonly root: number;
  readonly folder: TargetFolder;
  readonly owner?: Owner;
  readonly mode?: ModeChange;
  /** What it may cost; as a layer unless told. */
  readonly budget?: Partial<Budget>;
  readonly signal?: AbortSignal;
}

/**
 * How a file is packed, when there is a tar archive in it; undefined for any other file.
 * @throws TareError `unsupported` where its name says that it is an archive, and the program that could read it is not here
 */
export async function sniffArchive(fd: number, name: string): Promise<Packing | undefined> {
  if (!isPlainFile(fd)) return undefined;
  const start = readStart(fd);
  const packing = packingOf(start);
  if (packing === undefined) return isTarHeader(start) ? 'none' : undefined;
  try {
    return (await holdsTar(fd, packing)) ? packing : undefined;
  } catch (error) {
    if (!(error instanceof TareError && error.code === 'unsupported')) throw error;
    if (!/\.(?:tar\.(?:xz|bz2?)|t(?:xz|bz2?))$/i.test(name)) return undefined;
    const cause = { cause: error };
    throw new TareError('unsupported', `${JSON.stringify(name)} is packed with ${packing}: ${error.message}`, cause);
  }
}

/** Whether a file that begins so may be a tar archive, packed or not. */
export function mayBeArchive(start: Buffer): boolean {
  return packingOf(start) !== undefined || isTarHeader(start);
}

/** By its first bytes. */
function packingOf(start: Buffer): Exclude<Packing, 'none'> | undefined {
  const own = compressionOf(start);
  if (own !== 'none') return own;
  const foreign = foreignCompression(start);
  return foreign === 'xz' || foreign === 'bzip2' ? foreign : undefined;
}

/** Unpacks all of it. @throws TareError `protocol` when it is damaged, or names what lies outside */
export async function unpackArchive(fd: number, packing: Packing, options: UnpackOptions): Promise<void> {
  const meter = new Meter({ ...DEFAULT_BUDGET, ...options.budget }, 'the archive');
  const unpacking = new Unpacking(options, meter);
  for await (const entry of tarEntries(metered(fd, packing, meter))) {
    options.signal?.throwIfAborted();
    await unpacking.add(entry);
  }
  unpacking.setTimes();
}

function isPlainFile(fd: number): boolean {
  return (statusOf(fd).mode & 0o170000) === S_IFREG;
}

function readStart(fd: number): Buffer {
  const file = openSync(`/proc/self/fd/${fd}`, OPEN_UNTRUSTED);
  try {
    const start = Buffer.alloc(SNIFF_BYTES);
    return start.subarray(0, readSync(file, start));
  } finally {
    closeSync(file);
  }
}

function contentOf(fd: number, packing: Packing): AsyncGenerator<Uint8Array, void, void> {
  return isForeign(packing) ? unpackedBy(packing, fd) : decompressed(packed(fd), packing);
}

function isForeign(packing: Packing): packing is Unpacker {
  return packing === 'xz' || packing === 'bzip2';
}

/** What is packed is counted too: what comes of a few bytes is bounded by how many they are. */
async function* metered(fd: number, packing: Packing, meter: Meter): AsyncGenerator<Uint8Array, void, void> {
  const counted = async function* () {
    for await (const chunk of packed(fd) as AsyncIterable<Uint8Array>) {
      meter.compressed += chunk.length;
      yield chunk;
    }
  };
  // A program reads the file itself.
  if (isForeign(packing)) meter.compressed = statusOf(fd).size;
  for await (const chunk of isForeign(packing) ? unpackedBy(packing, fd) : decompressed(counted(), packing)) {
    meter.addBytes(chunk.length);
    yield chunk;
  }
}

function packed(fd: number): ReadStream {
  return createReadStream(`/proc/self/fd/${fd}`, { highWaterMark: 1 << 18 });
}

async function holdsTar(fd: number, compression: Packing): Promise<boolean> {
  let start = Buffer.alloc(0);
  try {
    for await (const chunk of contentOf(fd, compression)) {
      start = Buffer.concat([start, chunk.subarray(0, SNIFF_BYTES)]);
      if (start.length >= SNIFF_BYTES) break;
    }
  } catch (error) {
    // Damaged, or no such stream after all: a file like any other.
    if (error instanceof TareError && error.code === 'protocol') return false;
    throw error;
  }
  return isTarHeader(start);
}

class Unpacking {
  readonly #options: UnpackOptions;
  /** Times of folders, to be set when nothing is written to them any more. */
  readonly #times = new Map<string, bigint>();
  readonly #meter: Meter;

  constructor(options: UnpackOptions, meter: Meter) {
    this.#options = options;
    this.#meter = meter;
  }

  async add(entry: TarEntry): Promise<void> {
    this.#meter.addEntry();
    for (const { name, value } of entry.xattrs) this.#meter.addXattr(name, value);
    if (entry.sparse) this.#meter.addSparse(entry.size);
    const parts = partsOf(entry.name);
    const name = parts.pop();
    if (name === undefined) return;
    using parent = this.#parent(parts);
    const facts = this.#facts(entry);
    if (entry.type === 'directory') return this.#folder(parent, name, facts);
    // Over a folder too, whatever is in it, as Docker has it.
    const there = native.fstatat(parent.fd, asName(name), AT_SYMLINK_NOFOLLOW);
    if (there && isDirectory(there)) removeTree(parent.fd, asName(name));
    if (entry.type === 'link') return this.#link(parent, name, entry.linkName);
    await putFile(parent.fd, name, facts, (fd) => this.#write(fd, entry));
  }

  setTimes(): void {
    for (const [path, mtimeNs] of this.#times) {
      using folder = resolveIn(this.#options.root, path, { follow: false });
      if (folder && isDirectory(statusOf(folder.fd))) setTime(folder.fd, mtimeNs);
    }
  }

  #parent(parts: readonly string[]): TargetFolder {
    const { root, folder, owner } = this.#options;
    return makeFolders(root, shown([folder.path, ...parts].join('/')), owner ?? ROOT);
  }

  /** A link of the image in the place of a folder goes, as tar(1) and Docker have it. */
  #folder(parent: TargetFolder, name: string, facts: Facts): void {
    const there = native.fstatat(parent.fd, asName(name), AT_SYMLINK_NOFOLLOW);
    if (there && !isDirectory(there)) native.unlinkat(parent.fd, asName(name), 0);
    using made = putFolder(parent.fd, name, facts);
    const path = parent.path === '' ? name : `${parent.path}/${name}`;
    if (facts.mtimeNs === undefined || !made.isOpen) return;
    if (!this.#times.has(path)) this.#meter.addFolder(path);
    this.#times.set(path, facts.mtimeNs);
  }

  #link(parent: TargetFolder, name: string, target: Buffer): void {
    const parts = partsOf(target);
    const targetName = parts.pop();
    using folder = this.#parent(parts);
    if (targetName === undefined || !native.fstatat(folder.fd, asName(targetName), AT_SYMLINK_NOFOLLOW))
      throw new TareError('protocol', `the archive links to ${showName(target)}, which is not there`);
    putLink(parent.fd, name, { folder: folder.fd, name: targetName });
  }

  async #write(fd: number, entry: TarEntry): Promise<void> {
    const extents = entry.sparse ?? [{ offset: 0, size: entry.size }];
    let [index, within] = [0, 0];
    for await (let chunk of entry.chunks()) {
      this.#options.signal?.throwIfAborted();
      for (; chunk.length > 0; ) {
        const extent = extents[index];
        if (!extent) throw new TareError('protocol', 'the archive has more data of a sparse file than its map says');
        const part = chunk.subarray(0, extent.size - within);
        if (part.length > 0) native.write(fd, part, extent.offset + within);
        within += part.length;
        chunk = chunk.subarray(part.length);
        if (within === extent.size) [index, within] = [index + 1, 0];
      }
    }
    native.ftruncate(fd, entry.size);
  }

  #facts(entry: TarEntry): Facts {
    const { owner, mode } = this.#options;
    const type = TYPES[entry.type];
    const isLink = entry.type === 'symlink';
    return {
      mode: type | (mode && !isLink ? mode(entry.mode, entry.type === 'directory') : entry.mode),
      owner: owner ?? { uid: entry.uid, gid: entry.gid },
      mtimeNs: entry.mtimeNs,
      attributes: entry.xattrs.filter(({ name }) => isCopied(name.toString('latin1'))),
      ...(isLink && { target: entry.linkName }),
      major: entry.major,
      minor: entry.minor,
    };
  }
}

const TYPES: Readonly<Record<TarEntry['type'], number>> = {
  file: S_IFREG,
  link: S_IFREG,
  symlink: S_IFLNK,
  character: S_IFCHR,
  block: S_IFBLK,
  directory: S_IFDIR,
  fifo: S_IFIFO,
};

/** @throws TareError `protocol` for a name that climbs */
function partsOf(name: Buffer): string[] {
  const parts = name
    .toString('latin1')
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  if (parts.includes('..'))
    throw new TareError('protocol', `the archive names ${showName(name)}, which lies outside of it`);
  return parts;
}
