/**
 * Unpacking the layers of an image. Each layer is read into a folder of its own, several at a time and in any order, since what it refers to in the layers
 * below (parents it does not name, hard links) is settled afterwards, from the bottom up. A layer that is damaged or hostile leaves nothing.
 * layer.md of the image specification, "Applying Changesets"
 */
import { availableParallelism } from 'node:os';
import { TareError } from '../../kernel/error.js';
import type { Descriptor, Digest } from '../../oci/image/index.js';
import type { Image } from '../types.js';
import { chainIdsOf } from './chain.js';

/** One layer to be unpacked. */
export interface LayerTask {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
}

/** Each layer with its names. @throws TareError `protocol` when the config speaks of others than the manifest has */
export function layersOf({ manifest, config }: Pick<Image, 'manifest' | 'config'>): LayerTask[] {
  const diffIds = config.rootfs.diff_ids;
  if (manifest.layers.length !== diffIds.length) {
    throw new TareError(
      'protocol',
      `the image’s manifest has ${manifest.layers.length} layers, and its config ${diffIds.length}`,
    );
  }
  const chain = chainIdsOf(diffIds);
  return manifest.layers.map((descriptor, i) => ({
    descriptor,
    diffId: diffIds[i] as Digest,
    chainId: chain[i] as Digest,
    parent: chain[i - 1],
  }));
}

/** What is done with one layer: reading it, for which there is a limit, and what comes once the layers below are there. */
export interface LayerWork {
  /** Waits for its turn by `slot`, and reads the layer. @returns undefined when it is there already, else what finishes it */
  read(task: LayerTask, slot: Slots, signal: AbortSignal): Promise<LayerEnd | undefined>;
}

/** Disposed of without `finish`: nothing of the layer is left. */
export interface LayerEnd extends Disposable {
  finish(): void;
}

/** Works on all of them. The first failure ends the others; none is at work any more when this rejects. */
export async function unpackAll(
  tasks: readonly LayerTask[],
  work: LayerWork,
  signal: AbortSignal | undefined,
): Promise<void> {
  const failed = new AbortController();
  const any = signal ? AbortSignal.any([failed.signal, signal]) : failed.signal;
  const slots = new Slots(Math.max(2, Math.min(4, availableParallelism())));
  let below: Promise<unknown> = Promise.resolve();
  const all = tasks.map((task) => {
    // In the order of the layers, the lowest first: what waits for another process waits without a slot, so somebody always goes on.
    const parent = below;
    const one = (async () => {
      using end = await work.read(task, slots, any);
      await parent;
      any.throwIfAborted();
      end?.finish();
    })();
    below = one;
    one.catch((error: unknown) => failed.abort(error));
    return one;
  });
  await Promise.allSettled(all);
  if (signal?.aborted) throw signal.reason;
  if (failed.signal.aborted) throw failed.signal.reason;
}

/** At most so many at a time; first come, first served. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async with<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
