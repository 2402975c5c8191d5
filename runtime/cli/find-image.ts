/** The image that somebody names: from the store, or from its registry first. `--pull always|missing|never`, `--platform os/arch[/variant]`. */

import { loadImage } from '../image/image.js';
import { parsePlatform } from '../image/platform.js';
import { parseReference } from '../image/reference.js';
import type { ImageStore } from '../image/store/index.js';
import type { Image, Lease, OnProgress, Platform } from '../image/types.js';
import { TareError } from '../kernel/error.js';

export interface FindOptions {
  readonly pull?: string;
  readonly platform?: string;
  readonly lease: Lease;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

const WAYS = ['always', 'missing', 'never'] as const;

/** @throws TareError `usage`, `not-found`, and what the registry says */
export async function findOrPull(store: ImageStore, name: string, options: FindOptions): Promise<Image> {
  const { pull = 'missing' } = options;
  const way = WAYS.find((one) => one === pull);
  if (way === undefined) throw new TareError('usage', `--pull ${pull}: must be one of ${WAYS.join(', ')}`);
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const there = way === 'always' ? undefined : findHere(store, name, platform, options.lease, way);
  if (there) return there;
  // Loaded only when it is needed.
  const { pull: pullNow, pullIfMissing } = await import('../image/registry/index.js');
  const { lease, onProgress, signal } = options;
  const pulling = { lease, onProgress, signal, ...(platform && { platform }) };
  const reference = parseReference(name);
  if (way === 'missing') return pullIfMissing(store, reference, pulling);
  await pullNow(store, reference, pulling);
  return keep(loadImage(store, reference, platform), lease);
}

/** With all that it takes to run it, as far as it is not unpacked; undefined where it may still be pulled. */
function findHere(
  store: ImageStore,
  name: string,
  platform: Platform | undefined,
  lease: Lease,
  way: string,
): Image | undefined {
  try {
    return keep(loadImage(store, name, platform), lease);
  } catch (error) {
    if (way !== 'never' && error instanceof TareError && error.code === 'not-found') return undefined;
    throw error;
  }
}

/** From here on until it is unpacked nobody takes it away. */
function keep(image: Image, lease: Lease): Image {
  const { target, manifestDescriptor, manifest } = image;
  for (const { digest } of [target, manifestDescriptor, manifest.config, ...manifest.layers]) lease.addBlob(digest);
  return image;
}
