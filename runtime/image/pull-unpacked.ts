/** Pulling an image and unpacking it at the same time: a layer is unpacked as soon as it is here, while others are still on their way. */
import { loadImage } from './image.js';
import type { Reference } from './reference.js';
import { type Pulled, type PullOptions, pull } from './registry/index.js';
import { openSnapshots } from './snapshot/index.js';
import type { ImageStore } from './store/index.js';
import type { Lease } from './types.js';

export interface PulledUnpacked extends Pulled {
  /** What is still to be done when all has come. @throws as `Snapshots.unpack`: the image has been pulled all the same, and has its name */
  readonly unpacked: Promise<unknown>;
}

/** @throws as `pull`; nothing is at work any more then */
export async function pullUnpacked(
  store: ImageStore,
  reference: Reference,
  options: PullOptions & { readonly lease: Lease },
): Promise<PulledUnpacked> {
  const { lease, platform, onProgress, signal } = options;
  const snapshots = openSnapshots(store);
  let unpacking: Promise<unknown> | undefined;
  try {
    const pulled = await pull(store, reference, {
      ...options,
      onImage: (image, arrived) => {
        unpacking = snapshots.unpack(image, lease, { onProgress, signal, arrived });
        unpacking.catch(() => undefined); // until somebody waits for it
      },
    });
    const unpacked =
      unpacking ?? snapshots.unpack(loadImage(store, reference, platform), lease, { onProgress, signal });
    return { ...pulled, unpacked };
  } catch (error) {
    // It fails because of this error, and must be at its end before the store is closed.
    await Promise.allSettled([unpacking]);
    throw error;
  }
}
