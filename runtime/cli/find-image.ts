/** The image that somebody names: from the store, or from its registry first. `--pull always|missing|never`, `--platform os/arch[/variant]`. */

import { loadImage } from '../image/image.js';
import { parsePlatform } from '../image/platform.js';
import type { ImageStore } from '../image/store/index.js';
import type { Image, Lease, OnProgress } from '../image/types.js';
import { TareError } from '../kernel/error.js';

export interface FindOptions {
  readonly pull?: string;
  readonly platform?: string;
  readonly lease: Lease;
  readonly onProgress?: OnProgress;
}

const WAYS = ['always', 'missing', 'never'] as const;

/** @throws TareError `usage`, `not-found`, and what the registry says */
export async function findOrPull(store: ImageStore, name: string, options: FindOptions): Promise<Image> {
  const { pull = 'missing' } = options;
  const way = WAYS.find((one) => one === pull);
  if (way === undefined) throw new TareError('usage', `--pull ${pull}: must be one of ${WAYS.join(', ')}`);
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  return keep(loadImage(store, name, platform), options.lease);
}

/** From here on until it is unpacked nobody takes it away. */
function keep(image: Image, lease: Lease): Image {
  const { target, manifestDescriptor, manifest } = image;
  for (const { digest } of [target, manifestDescriptor, manifest.config, ...manifest.layers]) lease.addBlob(digest);
  return image;
}
