/** The layers of an image that is being pulled, for whoever waits for one of them while others are still on their way. */
import { Promised } from '../../kernel/promised.js';
import type { Descriptor, Digest } from '../../oci/image/index.js';

export class Arrivals {
  readonly #layers = new Map<Digest, Promised<void>>();

  constructor(layers: readonly Descriptor[]) {
    for (const { digest } of layers) this.#layers.set(digest, new Promised());
  }

  /** @returns a promise that is fulfilled when the layer's blob is in the store, and rejected when the pull has failed first */
  readonly of = (layer: Descriptor): Promise<void> => this.#layers.get(layer.digest)?.promise ?? Promise.resolve();

  here({ digest }: Descriptor): void {
    this.#layers.get(digest)?.resolve();
  }

  /** Nothing more comes: also not those for which nobody waits yet. */
  fail(reason: unknown): void {
    for (const arrival of this.#layers.values()) arrival.reject(reason);
  }
}
