/** The layers of an image that is being pulled, for whoever waits for one of them while others are still on their way. */
import type { Descriptor, Digest } from '../../oci/image/index.js';

export class Arrivals {
  readonly #layers = new Map<Digest, Arrival>();

  constructor(layers: readonly Descriptor[]) {
    for (const { digest } of layers) this.#layers.set(digest, newArrival());
  }

  /** @returns a promise that is fulfilled when the layer's blob is in the store, and rejected when the pull has failed first */
  readonly of = (layer: Descriptor): Promise<void> => this.#layers.get(layer.digest)?.promise ?? Promise.resolve();

  here({ digest }: Descriptor): void {
    this.#layers.get(digest)?.resolve();
  }

  /** Nothing more comes: also not those for which nobody waits yet. */
  fail(reason: unknown): void {
    for (const { reject } of this.#layers.values()) reject(reason);
  }
}

interface Arrival {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

function newArrival(): Arrival {
  let arrival: Omit<Arrival, 'promise'> | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    arrival = { resolve, reject };
  });
  promise.catch(() => undefined); // whoever waits is told; perhaps nobody does
  return { promise, ...(arrival as Omit<Arrival, 'promise'>) };
}
