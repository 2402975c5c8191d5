/**
 * How layers are packed: gzip by Node's zlib, zstd by libzstd, both in the thread pool, so that a layer is uncompressed while it is written. What
 * comes out is bounded by what is read of it, in chunks of up to 1 MiB. RFC 1952, RFC 8878; image-spec layer.md
 */
import { PassThrough, type Transform } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import { TareError } from '../../kernel/error.js';
import type { Compression } from '../../oci/image/index.js';
import { zstdTransform } from './zstd.js';

/** Large chunks keep the pool busy while the main thread makes many small files out of one of them. */
const CHUNK = 1 << 20;

export interface CompressOptions {
  /** gzip: 1 to 9, 6 unless told. zstd: 1 to 19, 3 unless told. */
  readonly level?: number;
}

/** A stream that packs. The same bytes come out for the same bytes and level. */
export function compress(kind: Compression, { level }: CompressOptions = {}): Transform {
  if (kind === 'none') return new PassThrough();
  if (kind === 'zstd') return zstdTransform('compress', level ?? 3);
  return createGzip({ level: level ?? 6, chunkSize: 1 << 16 });
}

/** A stream that unpacks, also several members or frames one after the other. Its errors are zlib's and zstd's own. */
export function decompress(kind: Compression): Transform {
  if (kind === 'none') return new PassThrough();
  if (kind === 'zstd') return zstdTransform('decompress');
  return createGunzip({ chunkSize: CHUNK });
}

/**
 * What a packed stream holds. While a chunk is worked on the next is being made.
 * @throws TareError `protocol` when it is damaged; what `source` throws stays as it is
 */
export async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  kind: Compression,
): AsyncGenerator<Uint8Array, void, void> {
  if (kind === 'none') {
    yield* source;
    return;
  }
  const stream = decompress(kind);
  let sourceError: unknown;
  const feeding = feed(source, stream).catch((error: unknown) => {
    sourceError = error;
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (sourceError !== undefined) throw sourceError;
    throw new TareError('protocol', `the layer is no ${kind} stream, or is damaged: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    stream.destroy();
    await feeding;
  }
}

/** Writes all of it, no faster than it is taken. Ends quietly when the stream is destroyed: it says why itself. */
async function feed(source: AsyncIterable<Uint8Array>, stream: Transform): Promise<void> {
  for await (const chunk of source) {
    if (stream.destroyed) return;
    if (!stream.write(chunk)) await drained(stream);
  }
  if (!stream.destroyed) stream.end();
}

/** Resolves when the stream takes more, and also when it is over, which `once(stream, 'drain')` does not. */
export function drained(stream: Transform): Promise<void> {
  if (stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
  });
}
