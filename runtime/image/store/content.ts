/**
 * The blobs: `blobs/sha256/<hex>`, as the image layout has them, and `ingest/`, where they are written. Whoever wants a blob adds it to a lease first, and
 * looks whether it is there then: so it cannot be collected in between.
 * image-layout.md, "Blobs"
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { TareError } from '../../kernel/error.js';
import {
  type Descriptor,
  type Digest,
  digestOf,
  hashFor,
  isDigest,
  MAX_DOCUMENT,
  splitDigest,
} from '../../oci/image/index.js';
import type { ContentStore, Ingest, Lease } from '../types.js';
import { storeFailure } from './failures.js';
import { PartialBlob, tryOpenPartial } from './ingest.js';

/** Read-ahead of a stream, in bytes. */
const STREAM_CHUNK = 1 << 20;

export class BlobFolder implements ContentStore {
  readonly #root: string;

  /** @param root the layout's folder; `blobs` and `ingest` are there */
  constructor(root: string) {
    this.#root = root;
  }

  has(digest: Digest): boolean {
    return this.size(digest) !== undefined;
  }

  size(digest: Digest): number | undefined {
    const facts = lstatSync(this.#place(digest), { throwIfNoEntry: false });
    return facts?.isFile() ? facts.size : undefined;
  }

  path(digest: Digest): string {
    if (this.has(digest)) return this.#place(digest);
    throw new TareError('not-found', `${digest} is not in the image store`, { path: digest });
  }

  read(digest: Digest, maxBytes = MAX_DOCUMENT): Buffer {
    const path = this.path(digest);
    const size = this.size(digest) ?? 0;
    if (size > maxBytes)
      throw new TareError('busy', `${digest} has ${size} bytes, and ${maxBytes} is the most for what it is`);
    const data = readFileSync(path);
    const { algorithm, hex } = splitDigest(digest);
    if (hashFor(digest).update(data).digest('hex') === hex) return data;
    throw new TareError(
      'protocol',
      `${path} is damaged: its content does not have the ${algorithm} digest that is its name; "tare image verify --repair" removes it, so that it can be pulled again`,
      { path },
    );
  }

  stream(digest: Digest): Readable {
    return createReadStream(this.path(digest), { highWaterMark: STREAM_CHUNK });
  }

  async ingest(
    expected: Pick<Descriptor, 'digest' | 'size'>,
    lease: Lease,
    signal?: AbortSignal,
  ): Promise<Ingest | undefined> {
    const { digest } = expected;
    lease.addBlob(digest);
    const { algorithm, hex } = splitDigest(digest);
    const path = join(this.#root, 'ingest', `${algorithm}-${hex}`);
    // flock(2) can wait too, but it would stop the event loop.
    for (let pause = 2; !this.has(digest); pause = Math.min(pause * 2, 100)) {
      const file = attempt(path, () => tryOpenPartial(path));
      if (!file) {
        await sleep(pause, undefined, { signal });
      } else if (!this.has(digest)) {
        return PartialBlob.of(file, { path, expected, place: (one) => this.#place(one) }, signal);
      } else {
        // Who had the lock before us has finished it, and we have made a new file.
        rmSync(path, { force: true });
        file.close();
      }
    }
    return undefined;
  }

  async create(lease: Lease): Promise<Ingest> {
    for (;;) {
      const path = join(this.#root, 'ingest', `new-${randomBytes(8).toString('hex')}`);
      const file = attempt(path, () => tryOpenPartial(path));
      const place = (digest: Digest) => this.#place(digest);
      if (file) return PartialBlob.of(file, { path, place, onDigest: (digest) => lease.addBlob(digest) });
    }
  }

  async put(data: Uint8Array, mediaType: string, lease: Lease): Promise<Descriptor> {
    const descriptor: Descriptor = { mediaType, digest: digestOf(data), size: data.length };
    await using ingest = await this.ingest(descriptor, lease);
    if (!ingest) return descriptor;
    if (ingest.offset > 0) await ingest.restart();
    await ingest.write(data);
    await ingest.commit();
    return descriptor;
  }

  *list(): Iterable<{ readonly digest: Digest; readonly size: number }> {
    for (const algorithm of ['sha256', 'sha512']) {
      for (const hex of namesIn(join(this.#root, 'blobs', algorithm))) {
        const digest = `${algorithm}:${hex}`;
        if (!isDigest(digest)) continue;
        const size = this.size(digest);
        if (size !== undefined) yield { digest, size };
      }
    }
  }

  #place(digest: Digest): string {
    const { algorithm, hex } = splitDigest(digest);
    return join(this.#root, 'blobs', algorithm, hex);
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw storeFailure(error, `${path} cannot be made`);
  }
}
