/**
 * A blob from a registry into the store: gone on with where it broke off, in this attempt or in one of a process that was killed, and checked by the store
 * while it comes. Of several who want it, one downloads.
 * distribution-spec.md, "Pulling blobs"; RFC 9110, section 14 (Range)
 */
import { TareError } from '../../kernel/error.js';
import { type Descriptor, shortDigest } from '../../oci/image/index.js';
import type { ContentStore, Ingest, Lease, OnProgress } from '../types.js';
import type { RegistryClient } from './client.js';
import type { Answer } from './exchange.js';
import { mayPass, withRetries } from './retry.js';

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** Asked for instead of the registry's own place: a foreign layer's. Nobody is told who we are there. */
  readonly urls?: readonly URL[];
}

/** @throws TareError `protocol` for wrong bytes, `no-space`, and what `RegistryClient.ask` throws */
export async function downloadBlob(
  client: RegistryClient,
  repository: string,
  blob: Descriptor,
  content: ContentStore,
  lease: Lease,
  options: DownloadOptions = {},
): Promise<void> {
  const { signal, onProgress } = options;
  const id = shortDigest(blob.digest);
  onProgress?.({ id, action: 'waiting', total: blob.size });
  for (let isResumed = false; ; ) {
    await using ingest = await content.ingest(blob, lease, signal);
    if (!ingest) return onProgress?.({ id, action: isResumed ? 'done' : 'exists' });
    const wasThere = ingest.offset > 0 && !isResumed;
    await transfer(client, repository, blob, ingest, options);
    onProgress?.({ id, action: 'verifying', total: blob.size });
    try {
      await ingest.commit();
      return onProgress?.({ id, action: 'done', detail: 'downloaded', total: blob.size });
    } catch (error) {
      // What an earlier run left may have been the wrong part of it: once, all of it is downloaded anew.
      if (!wasThere || !(error instanceof TareError && error.code === 'protocol')) throw error;
      onProgress?.({ id, action: 'retrying', detail: 'what was there of it already is damaged' });
      isResumed = true;
    }
  }
}

async function transfer(
  client: RegistryClient,
  repository: string,
  blob: Descriptor,
  ingest: Ingest,
  { signal, onProgress, urls }: DownloadOptions,
): Promise<void> {
  const id = shortDigest(blob.digest);
  const onRetry = (detail: string) => onProgress?.({ id, action: 'retrying', detail });
  const from = urls?.[0] ?? `/v2/${repository}/blobs/${blob.digest}`;
  await withRetries({ limits: client.limits, signal, onRetry }, async (gotFurther) => {
    const offset = ingest.offset;
    if (offset === blob.size) return;
    const answer = await client.ask({
      method: 'GET',
      to: from,
      access: { repository },
      headers: offset > 0 ? { range: `bytes=${offset}-` } : {},
      expect: [200, 206, 416],
      what: `blob ${blob.digest}`,
      attempts: 1,
      signal,
    });
    const action = offset > 0 && answer.status === 206 ? 'resuming' : 'downloading';
    try {
      await place(answer, blob, ingest);
      onProgress?.({ id, action, current: ingest.offset, total: blob.size });
      for await (const part of inParts(answer.stream())) {
        await ingest.write(part);
        // A byte for each connection is nothing that leads anywhere.
        if (ingest.offset - offset >= client.limits.stallBytes) gotFurther();
        onProgress?.({ id, action, current: ingest.offset, total: blob.size });
        signal?.throwIfAborted();
      }
    } catch (error) {
      answer.discard();
      throw error;
    }
    if (ingest.offset < blob.size)
      throw mayPass(
        new TareError(
          'protocol',
          `blob ${blob.digest} is cut off: ${client.name} sent ${ingest.offset} of its ${blob.size} bytes`,
        ),
      );
  });
}

/** What is written at once: a write costs more than what it writes when that is a packet. */
const PART = 512 * 1024;

/**
 * The same bytes in larger parts; when they break off, what has come is given before the error. A part is good until the next is asked for: one piece of
 * memory holds them all.
 */
async function* inParts(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const part = Buffer.allocUnsafeSlow(PART);
  let size = 0;
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        const copied = chunk.copy(part, size, at);
        size += copied;
        at += copied;
        if (size < PART) continue;
        yield part;
        size = 0;
      }
    }
  } catch (error) {
    failure = { error };
  }
  if (size > 0) yield part.subarray(0, size);
  if (failure) throw failure.error;
}

/** Where its body belongs. A server may ignore a range, or not know how to go on. */
async function place({ status, headers }: Answer, blob: Descriptor, ingest: Ingest): Promise<void> {
  const wrong = (why: string) => new TareError('protocol', `blob ${blob.digest} is refused: ${why}`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw wrong(`it comes encoded (${encoding}), which was not asked for`);
  if (status === 416) {
    await ingest.restart();
    throw mayPass(wrong('the registry cannot go on where it broke off'));
  }
  if (status === 206) {
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
    if (Number(start) !== ingest.offset) throw wrong('the registry sent another part of it than it was asked for');
    if (total !== '*' && Number(total) !== blob.size) throw differs(blob, Number(total));
    return;
  }
  if (ingest.offset > 0) await ingest.restart();
  const length = headers['content-length'];
  if (length !== undefined && Number(length) !== blob.size) throw differs(blob, Number(length));
}

function differs({ digest, size }: Descriptor, found: number): TareError {
  return new TareError('protocol', `blob ${digest} is refused: it has ${found} bytes, and its descriptor says ${size}`);
}
