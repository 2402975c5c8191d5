/**
 * What of the store is needed: from the names, the living leases and the build cache to indexes, from those to manifests, to configs and layers, and by the
 * configs' diff ids to snapshots. What refers to something that is needed (a signature, by its `subject`) is needed as well.
 * manifest.md, "subject"; config.md, "Layer ChainID"
 */
import { readFileSync } from 'node:fs';
import { type Digest, isDigest, MAX_DOCUMENT } from '../../oci/image/index.js';
import { chainIdsOf } from '../snapshot/chain.js';
import type { ContentStore } from '../types.js';

export class Reach {
  readonly blobs = new Set<Digest>();
  /** By chain id. */
  readonly snapshots = new Set<Digest>();
  readonly #content: ContentStore;
  /** The chain id of the layer below, of those that are there. */
  readonly #parents: ReadonlyMap<Digest, Digest | undefined>;

  constructor(content: ContentStore, parents: ReadonlyMap<Digest, Digest | undefined>) {
    this.#content = content;
    this.#parents = parents;
  }

  addBlob(digest: Digest): void {
    const pending = [digest];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (this.blobs.has(next)) continue;
      this.blobs.add(next);
      const read = this.#document(next);
      if (!read) continue;
      for (const named of [read.manifests, read.layers, [read.config]])
        for (const digest of digestsIn(named)) pending.push(digest);
      for (const chainId of chainsIn(read)) this.addSnapshot(chainId);
    }
  }

  addSnapshot(chainId: Digest): void {
    for (let next: Digest | undefined = chainId; next !== undefined; next = this.#parents.get(next)) {
      if (this.snapshots.has(next)) return;
      this.snapshots.add(next);
    }
  }

  /** Adds what refers to what is needed, of these; several times, since a signature can be signed too. */
  addReferrers(candidates: Iterable<Digest>): void {
    const subjects = new Map<Digest, Digest>();
    for (const digest of candidates) {
      const [subject] = this.blobs.has(digest) ? [] : digestsIn([this.#document(digest)?.subject]);
      if (subject !== undefined) subjects.set(digest, subject);
    }
    for (let before = -1; before !== subjects.size; ) {
      before = subjects.size;
      for (const [digest, subject] of subjects) {
        if (!this.blobs.has(subject)) continue;
        subjects.delete(digest);
        this.addBlob(digest);
      }
    }
  }

  /**
   * A document, whatever it says that it is: what is damaged keeps nothing but itself. Not checked any further, as all that is read of it are
   * digests to be kept.
   */
  #document(digest: Digest): Record<string, unknown> | undefined {
    const size = this.#content.size(digest);
    if (size === undefined || size > MAX_DOCUMENT) return undefined;
    const data = readFileSync(this.#content.path(digest));
    // A layer that is small: tar, gzip and zstd do not begin so.
    if (!/^\s*\{/.test(data.subarray(0, 64).toString('latin1'))) return undefined;
    try {
      return JSON.parse(data.toString()) as Record<string, unknown>;
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }
}

function digestsIn(descriptors: unknown): Digest[] {
  if (!Array.isArray(descriptors)) return [];
  return descriptors.map((one: { digest?: unknown } | null | undefined) => one?.digest).filter(isDigest);
}

/** Those of a config. */
function chainsIn({ rootfs }: Record<string, unknown>): Digest[] {
  const diffIds = (rootfs as { diff_ids?: unknown } | null | undefined)?.diff_ids;
  return Array.isArray(diffIds) && diffIds.every(isDigest) ? chainIdsOf(diffIds) : [];
}
