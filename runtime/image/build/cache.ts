/**
 * What steps have come to: by the step's key, the layer that it made. An entry keeps its layer from being collected until the cache is pruned. A hit is
 * put into the build's lease before it is looked at, so that a prune does not come in between.
 */
import type { Descriptor, Digest } from '../../oci/image/index.js';
import type { ImageStore } from '../store/index.js';
import type { Lease } from '../types.js';

/** A layer that a step has made, or an image has. */
export interface BuiltLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}

export interface StepResult {
  /** undefined where the step has changed no file. */
  readonly layer?: BuiltLayer;
  /** When it was really done, RFC 3339. */
  readonly created: string;
}

export class StepCache {
  readonly #store: ImageStore;

  constructor(store: ImageStore) {
    this.#store = store;
  }

  /** Its layer is kept by the lease from now on. */
  find(key: string, lease: Lease): StepResult | undefined {
    const step = this.#store.cache.get(STEP + key) as StepResult | undefined;
    if (!step?.layer) return step;
    lease.addBlob(step.layer.descriptor.digest);
    return this.#store.content.has(step.layer.descriptor.digest) ? step : undefined;
  }

  /** @param chainId of its layer and those below */
  save(key: string, step: StepResult, chainId: Digest | undefined): void {
    this.#store.cache.set(
      STEP + key,
      step,
      step.layer && chainId ? { blobs: [step.layer.descriptor.digest], snapshots: [chainId] } : {},
    );
  }

  /** The times of an image that differs in nothing else: a build of which all is cached gives the image that is there. */
  times(key: string): readonly string[] | undefined {
    return this.#store.cache.get(IMAGE + key) as readonly string[] | undefined;
  }

  saveTimes(key: string, times: readonly string[]): void {
    this.#store.cache.set(IMAGE + key, times, {});
  }
}

const STEP = 'build-step:';
const IMAGE = 'build-image:';
