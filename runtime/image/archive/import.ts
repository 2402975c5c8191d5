/**
 * An image of one layer out of a root file system: a tar archive, packed or not. What is packed already becomes the layer as it is; else it is
 * packed by gzip on the way. It is read once, entry by entry, so that what could never be unpacked is refused here.
 */
import type { Transform } from 'node:stream';
import { TareError } from '../../kernel/error.js';
import {
  type Descriptor,
  type Digest,
  type ExecutionConfig,
  hashFor,
  type ImageConfig,
  type ImageManifest,
  LAYER_TYPES,
  MEDIA,
  type Platform,
} from '../../oci/image/index.js';
import {
  compress,
  compressionOf,
  decompressed,
  drained,
  foreignCompression,
  looksLikeTar,
  sniff,
  tarEntries,
} from '../layer/index.js';
import { hostPlatform } from '../platform.js';
import type { Reference } from '../reference.js';
import type { Lease, OnProgress } from '../types.js';
import type { ArchiveStore } from './contents.js';

export interface ImportOptions {
  /** None: it is known by its id. */
  readonly names?: readonly Reference[];
  readonly config?: ExecutionConfig;
  /** RFC 3339; now unless told. */
  readonly created?: string;
  readonly author?: string;
  /** What the history says. */
  readonly message?: string;
  readonly createdBy?: string;
  readonly platform?: Platform;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface ImportedImage {
  readonly id: Digest;
  readonly target: Descriptor;
}

/** @throws TareError `protocol` for what is no archive, `unsupported`, `no-space` */
export async function importRootfs(
  store: ArchiveStore,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions = {},
): Promise<ImportedImage> {
  using lease = store.lease();
  const layer = await storeLayer(store, source, lease, options);
  const created = options.created ?? new Date().toISOString();
  const config: ImageConfig = {
    created,
    ...(options.author !== undefined && { author: options.author }),
    ...(options.platform ?? hostPlatform()),
    ...(options.config && { config: options.config }),
    rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    history: [
      {
        created,
        created_by: options.createdBy ?? 'tare import',
        ...(options.message !== undefined && { comment: options.message }),
      },
    ],
  };
  const put = (value: unknown, type: string) => store.content.put(Buffer.from(JSON.stringify(value)), type, lease);
  const configDescriptor = await put(config, MEDIA.ociConfig);
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.ociManifest,
    config: configDescriptor,
    layers: [layer.descriptor],
  };
  const target = await put(manifest, MEDIA.ociManifest);
  for (const name of options.names ?? []) await store.names.set(name, target);
  if (!options.names?.length) await store.names.keep(target);
  return { id: configDescriptor.digest, target };
}

async function storeLayer(
  { content }: ArchiveStore,
  source: AsyncIterable<Uint8Array>,
  lease: Lease,
  { onProgress, signal }: ImportOptions,
): Promise<{ descriptor: Descriptor; diffId: Digest }> {
  const outer = await sniff(source);
  const foreign = foreignCompression(outer.head);
  if (foreign) {
    await outer.close();
    throw new TareError(
      'unsupported',
      `the archive is packed by ${foreign}: unpack it first, as with "${foreign} -dc"`,
    );
  }
  const given = compressionOf(outer.head);
  const stored = given === 'none' ? 'gzip' : given;
  await using ingest = await content.create(lease);
  const hash = hashFor();
  let current = 0;
  const write = async (chunk: Uint8Array) => {
    signal?.throwIfAborted();
    await ingest.write(chunk);
    current += chunk.length;
    onProgress?.({ id: 'layer', action: 'unpacking', current });
  };
  if (given === 'none') {
    await pack(hashed(await asTar(outer.whole), hash), write);
  } else {
    await readThrough(hashed(await asTar(decompressed(passing(outer.whole, write), given)), hash));
  }
  const { digest, size } = await ingest.commit();
  onProgress?.({ id: 'layer', action: 'done', current: size });
  return {
    descriptor: { mediaType: LAYER_TYPES[stored], digest, size },
    diffId: `sha256:${hash.digest('hex')}` as Digest,
  };
}

/** @throws TareError `protocol` for what does not begin as an archive does */
async function asTar(source: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const { head, whole, close } = await sniff(source);
  if (looksLikeTar(head)) return whole;
  await close();
  throw new TareError('protocol', 'this is no tar archive of a root file system, also not a packed one');
}

/** Reads an archive to its end, and refuses what is none. */
async function readThrough(source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const entry of tarEntries(source)) if (entry.type === 'file') for await (const _ of entry.chunks());
}

async function* hashed(source: AsyncIterable<Uint8Array>, hash: ReturnType<typeof hashFor>) {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

/** Each chunk is also written, before it is passed on. */
async function* passing(source: AsyncIterable<Uint8Array>, write: (chunk: Uint8Array) => Promise<void>) {
  for await (const chunk of source) {
    await write(chunk);
    yield chunk;
  }
}

/** Reads it through, and writes it packed meanwhile. Whichever fails first, the other has ended too, and the reason is what failed. */
async function pack(source: AsyncIterable<Uint8Array>, write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
  const packed = compress('gzip');
  let reason: unknown;
  const writing = async () => {
    for await (const chunk of packed as AsyncIterable<Uint8Array>)
      await write(chunk).catch((error: unknown) => {
        reason = error;
        throw error;
      });
  };
  const [read, written] = await Promise.allSettled([readThrough(into(packed, source)), writing()]);
  if (reason !== undefined) throw reason;
  if (read.status === 'rejected') throw read.reason;
  if (written.status === 'rejected') throw written.reason;
}

/** Each chunk also goes into the stream, which ends as the source does. */
async function* into(stream: Transform, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let whole = false;
  try {
    for await (const chunk of source) {
      if (stream.destroyed) throw new TareError('internal', 'what packs the layer has ended early');
      // A copy: the memory may be used again before the thread that packs it has read it.
      if (!stream.write(Buffer.from(chunk))) await drained(stream);
      yield chunk;
    }
    whole = true;
    stream.end();
  } finally {
    if (!whole) stream.destroy();
  }
}
