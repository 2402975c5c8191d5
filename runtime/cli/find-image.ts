/** The image that somebody names: from the store, or from its registry first. `--pull always|missing|never`, `--platform os/arch[/variant]`. */

import { loadImage, similarName } from '../image/image.js';
import { parsePlatform } from '../image/platform.js';
import { familiarName, parseReference, type Reference } from '../image/reference.js';
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
  try {
    if (way === 'missing') return await pullIfMissing(store, reference, pulling);
    await pullNow(store, reference, pulling);
  } catch (error) {
    throw await withHint(error, store, reference, signal);
  }
  return keep(loadImage(store, reference, platform), lease);
}

/** Another image may have been meant that is here, and some can be had without a registry: then it says so. */
async function withHint(
  error: unknown,
  { names }: ImageStore,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  if (!(error instanceof TareError) || signal?.aborted) return error;
  const { bootstrapHint } = await import('../image/bootstrap/index.js');
  const similar = similarName(names, familiarName(reference));
  const hint = similar === undefined ? bootstrapHint(reference) : `did you mean "${similar}", which is here?`;
  if (hint === undefined) return error;
  const { code, message, path } = error;
  return new TareError(code, `${message} (${hint})`, { cause: error, ...(path !== undefined && { path }) });
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
