/**
 * The files of a stage: layers, one above the other, each made by a step. A step works in an empty folder over the layers so far; what it has
 * changed becomes a layer, and the folder the layer's snapshot, without being unpacked again. A step whose key is in the cache is not done.
 */
import type { OwnedFd } from '../../kernel/fd.js';
import { type Digest, MEDIA } from '../../oci/image/index.js';
import { chainIdOf, mountOverlay } from '../snapshot/index.js';
import type { Image, OverlayFolders } from '../types.js';
import type { BuiltLayer, StepResult } from './cache.js';
import { type Keyed, stepKey } from './key.js';
import { type Session, timeOf } from './session.js';
import { StepWork } from './work.js';

/** What changes files. */
export interface FileStep {
  readonly kind: string;
  /** All that the result depends on, besides the layers below. */
  readonly key: Keyed;
  /** Changes them, in `root`. */
  work(root: OverlayFolders, work: StepWork): Promise<void>;
}

export class StageFiles {
  readonly #session: Session;
  readonly #layers: readonly BuiltLayer[];
  /** Of all layers; undefined where there is none. */
  readonly chainId: Digest | undefined;

  constructor(session: Session, layers: readonly BuiltLayer[]) {
    this.#session = session;
    this.#layers = layers;
    let chainId: Digest | undefined;
    for (const { diffId } of layers) chainId = chainIdOf(chainId, diffId);
    this.chainId = chainId;
  }

  /** The same, for the steps of a stage that uses the cache otherwise. */
  of(session: Session): StageFiles {
    return session === this.#session ? this : new StageFiles(session, this.#layers);
  }

  get layers(): readonly BuiltLayer[] {
    return this.#layers;
  }

  /** Does the step, or finds that it has been done. @returns the files after it */
  async step({
    kind,
    key: keyed,
    work: change,
  }: FileStep): Promise<{ files: StageFiles; result: StepResult; cached: boolean }> {
    const { store, cache, lease, slots, signal, useCache, epoch } = this.#session;
    const key = stepKey(kind, { below: this.chainId, epoch, what: keyed });
    const find = () => (useCache ? cache.find(key, lease) : undefined);
    const done = (result: StepResult, cached: boolean) => ({ files: this.#with(result), result, cached });
    const known = find();
    if (known) return done(known, true);
    await using work = await StepWork.begin(store.root, key, signal);
    // Another build has done it while we waited.
    const meanwhile = find();
    if (meanwhile) return done(meanwhile, true);
    return await slots.with(async () => {
      signal.throwIfAborted();
      await this.unpacked();
      const root = this.#session.snapshots.prepare(this.chainId, work.folder);
      await change(root, work);
      signal.throwIfAborted();
      // Loaded only when it is needed.
      const { commitLayer } = await import('./commit.js');
      const layer = await commitLayer(this.#session, root, this.chainId);
      const result = { ...(layer && { layer }), created: timeOf(this.#session) };
      cache.save(key, result, layer && chainIdOf(this.chainId, layer.diffId));
      return done(result, false);
    });
  }

  #with({ layer }: StepResult): StageFiles {
    return layer ? new StageFiles(this.#session, [...this.#layers, layer]) : this;
  }

  /** The layers as one tree, read-only, to be read by descriptor; undefined where there is no layer. */
  async mount(): Promise<OwnedFd | undefined> {
    const lower = await this.unpacked();
    return lower.length > 0 ? mountOverlay({ lower }) : undefined;
  }

  /** The folders of the layers, the uppermost first: what comes from the cache or a registry is unpacked when it is needed. */
  async unpacked(): Promise<readonly string[]> {
    const { chainId } = this;
    if (chainId === undefined) return [];
    const { snapshots, lease, signal } = this.#session;
    lease.addSnapshot(chainId);
    if (!snapshots.has(chainId)) await snapshots.unpack(this.#asImage(), lease, { signal });
    return snapshots.lower(chainId);
  }

  /** What unpacking reads of an image. */
  #asImage(): Image {
    const { platform } = this.#session;
    const none = { mediaType: MEDIA.ociManifest, digest: this.chainId as Digest, size: 0 };
    return {
      target: none,
      manifestDescriptor: none,
      manifest: { schemaVersion: 2, config: none, layers: this.#layers.map(({ descriptor }) => descriptor) },
      config: { ...platform, rootfs: { type: 'layers', diff_ids: this.#layers.map(({ diffId }) => diffId) } },
      id: none.digest,
    };
  }
}
