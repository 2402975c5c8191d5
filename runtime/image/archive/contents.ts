/**
 * Reads an archive once, from a pipe or a file, and says what is in it. Nothing is written but into the store: what a digest names straight to its
 * blob, layers to blobs whose digest is then known. Documents stay in memory, within a bound. What any of it means is decided
 * afterwards, for manifest.json comes last.
 */
import { statfs } from 'node:fs/promises';
import { TareError } from '../../kernel/error.js';
import { type Compression, type Digest, MAX_DOCUMENT } from '../../oci/image/index.js';
import {
  compressionOf,
  firstBytes,
  looksLikeJson,
  looksLikeTar,
  sniff,
  type TarEntry,
  tarEntries,
} from '../layer/index.js';
import type { ImageStore } from '../store/index.js';
import type { Ingest, Lease, OnProgress } from '../types.js';
import { blobDigest, linkTarget, nameInArchive } from './names.js';

/** What of a store archives are read into, and written from. */
export type ArchiveStore = Pick<ImageStore, 'root' | 'content' | 'names' | 'lease'>;

/** A layer in the store. */
export interface StoredLayer {
  readonly digest: Digest;
  readonly size: number;
  readonly compression: Compression;
}

/** What an archive holds, by name. */
export interface Contents {
  /** JSON, and perhaps whatever else begins like it. */
  document(name: string): Buffer | undefined;
  layer(name: string): StoredLayer | undefined;
  /** The names at its top, for an error. */
  readonly top: ReadonlySet<string>;
}

export interface ReadOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** More than thousands of images have. */
const MAX_ENTRIES = 200_000;
/** Of names, and of what links lead to: of the longest there are, so many entries would be gigabytes. */
const MAX_NAMES_BYTES = 64 << 20;
const MAX_DOCUMENTS_BYTES = 64 << 20;
/** A chain of links is as long as the kernel follows one: path_resolution(7). */
const MAX_LINKS = 40;
/** What must stay free on the disk for everything else. */
const RESERVE = 16 << 20;

/** @throws TareError `protocol` with what is wrong, `busy` when it is larger than anything sensible, `no-space` */
export async function readContents(
  source: AsyncIterable<Uint8Array>,
  store: ArchiveStore,
  lease: Lease,
  options: ReadOptions = {},
): Promise<Contents> {
  const documents = new Map<string, Buffer>();
  const layers = new Map<string, StoredLayer>();
  const links = new Map<string, string | undefined>();
  const seen = new Set<string>();
  let [kept, names] = [0, 0];
  for await (const entry of tarEntries(source)) {
    options.signal?.throwIfAborted();
    const name = nameInArchive(entry.name);
    if (entry.type === 'directory') continue;
    if (seen.has(name))
      throw new TareError('protocol', `the archive is refused: ${JSON.stringify(name)} is in it twice`);
    seen.add(name);
    if (seen.size > MAX_ENTRIES) throw new TareError('busy', `the archive has more than ${MAX_ENTRIES} entries`);
    names += entry.name.length + entry.linkName.length;
    if (names > MAX_NAMES_BYTES)
      throw new TareError('busy', `the archive has names of more than ${MAX_NAMES_BYTES} bytes in all`);
    if (entry.type === 'symlink' || entry.type === 'link')
      links.set(name, linkTarget(name, entry.linkName, entry.type === 'symlink'));
    if (entry.type !== 'file') continue;
    await needSpace(store, entry.size);
    const digest = blobDigest(name);
    if (digest) {
      await writeBlob(entry, digest, store, lease, options);
      continue;
    }
    const { head, whole } = await sniff(chunksOf(entry));
    if (looksLikeJson(head) && entry.size <= MAX_DOCUMENT) {
      kept += entry.size;
      if (kept > MAX_DOCUMENTS_BYTES)
        throw new TareError('busy', `the archive has more than ${MAX_DOCUMENTS_BYTES} bytes of documents`);
      documents.set(name, await collect(whole));
    } else if (compressionOf(head) !== 'none' || looksLikeTar(head)) {
      layers.set(name, await writeLayer(entry, name, head, whole, store, lease, options));
    }
  }
  const resolve = (name: string) => followLinks(clean(name), links);
  return {
    document: (name) => documents.get(resolve(name)) ?? storedDocument(resolve(name), seen, store),
    layer: (name) => layers.get(resolve(name)) ?? storedBlob(resolve(name), seen, store),
    top: new Set([...seen].map((name) => name.split('/')[0] as string)),
  };
}

/** What a document calls a file, as the archive's entries are called; what cannot be in it stays as it is, and is not found. */
function clean(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return name.startsWith('/') || parts.includes('..') ? name : parts.join('/');
}

function followLinks(name: string, links: ReadonlyMap<string, string | undefined>): string {
  let at = name;
  for (let i = 0; i < MAX_LINKS && links.has(at); i++) at = links.get(at) ?? '';
  return at;
}

/** Of `blobs/sha256/HEX` where manifest.json names one as a layer, as Docker does since version 25. */
function storedBlob(name: string, seen: ReadonlySet<string>, { content }: ArchiveStore): StoredLayer | undefined {
  const digest = seen.has(name) ? blobDigest(name) : undefined;
  const size = digest && content.size(digest);
  if (digest === undefined || size === undefined) return undefined;
  return { digest, size, compression: compressionOf(firstBytes(content.path(digest))) };
}

function storedDocument(name: string, seen: ReadonlySet<string>, { content }: ArchiveStore): Buffer | undefined {
  const digest = seen.has(name) ? blobDigest(name) : undefined;
  return digest && (content.size(digest) ?? MAX_DOCUMENT + 1) <= MAX_DOCUMENT ? content.read(digest) : undefined;
}

async function writeBlob(
  entry: TarEntry,
  digest: Digest,
  { content }: ArchiveStore,
  lease: Lease,
  { onProgress, signal }: ReadOptions,
): Promise<void> {
  await using ingest = await content.ingest({ digest, size: entry.size }, lease, signal);
  if (!ingest) return;
  // What an interrupted download left is written anew: reading it again would take as long.
  if (ingest.offset > 0) await ingest.restart();
  await fill(ingest, chunksOf(entry), { id: digest.slice(7, 19), total: entry.size, onProgress });
  await ingest.commit();
}

async function writeLayer(
  entry: TarEntry,
  name: string,
  head: Buffer,
  whole: AsyncIterable<Uint8Array>,
  { content }: ArchiveStore,
  lease: Lease,
  { onProgress }: ReadOptions,
): Promise<StoredLayer> {
  await using ingest = await content.create(lease);
  await fill(ingest, whole, { id: shortName(name), total: entry.size, onProgress });
  const stored = await ingest.commit();
  return { ...stored, compression: compressionOf(head) };
}

interface Filling {
  readonly id: string;
  readonly total: number;
  readonly onProgress?: OnProgress;
}

async function fill(
  ingest: Ingest,
  chunks: AsyncIterable<Uint8Array>,
  { id, total, onProgress }: Filling,
): Promise<void> {
  let current = 0;
  onProgress?.({ id, action: 'unpacking', current, total });
  for await (const chunk of chunks) {
    await ingest.write(chunk);
    current += chunk.length;
    onProgress?.({ id, action: 'unpacking', current, total });
  }
  onProgress?.({ id, action: 'done', current, total });
}

/** Of `HEX/layer.tar` and `HEX.tar` what people know layers by. */
function shortName(name: string): string {
  return name.replace(/^blobs\/sha\d+\//, '').slice(0, 12);
}

/** A header that announces more than there is room for is believed, before the disk is full. */
async function needSpace({ root }: ArchiveStore, bytes: number): Promise<void> {
  if (bytes < RESERVE) return;
  const { bavail, bsize } = await statfs(root);
  if (bavail * bsize >= bytes + RESERVE) return;
  const mib = (n: number) => `${Math.ceil(n / (1 << 20))} MiB`;
  throw new TareError(
    'no-space',
    `an entry of the archive has ${mib(bytes)}, and ${root} has ${mib(bavail * bsize)} free; "tare image prune" removes what nothing uses`,
  );
}

/** A sparse entry holds only its data: none of an image's files are. */
function chunksOf(entry: TarEntry): AsyncIterable<Uint8Array> {
  if (entry.sparse)
    throw new TareError('unsupported', 'the archive has sparse entries: it was not made by a container engine');
  return entry.chunks();
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}
