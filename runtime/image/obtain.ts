/**
 * The image that somebody names, kept from here on: of the store, or of its registry first. When neither has it, the error says what is here instead: another
 * platform of it, another name, or a way to make it.
 */
import { TareError } from '../kernel/error.js';
import { loadImage, similarName } from './image.js';
import type { PulledUnpacked } from './pull-unpacked.js';
import { familiarName, parseReference, type Reference } from './reference.js';
import type { PullOptions } from './registry/index.js';
import type { ImageStore } from './store/index.js';
import type { Image, Lease } from './types.js';

/** When a registry is asked: always, where the image is not here, or never. */
export const PULL_WAYS = ['always', 'missing', 'never'] as const;
/** One of these. */
export type PullWay = (typeof PULL_WAYS)[number];

/** Of an image that is found in the store, or pulled. */
export interface ObtainOptions extends Omit<PullOptions, 'lease'> {
  /** `missing` unless told. */
  readonly pull?: PullWay;
  /** Here is only what has all its layers as they are sent. A container can do with unpacked ones. */
  readonly isWhole?: boolean;
  /** A container is made of it at once: what is pulled is unpacked while it comes. */
  readonly isForContainer?: boolean;
  /**
   * A bare name (`busybox`) that is not here may stand for `localhost/busybox`, where that is: the images that were made without a registry. Told
   * of that image. Without it, a name of Docker Hub's is nothing else.
   */
  readonly onOwn?: (own: Reference) => void;
  readonly lease: Lease;
}

/** @param name a name or an id @throws TareError `not-found`, `usage`, and what the registry says: see `pull` */
export async function obtainImage(store: ImageStore, name: string, options: ObtainOptions): Promise<Image> {
  const { pull: way = 'missing', isWhole: _isWhole, onOwn: _onOwn, isForContainer, ...pulling } = options;
  let notHere: TareError | undefined;
  if (way !== 'always')
    try {
      return kept(store, loadImage(store, name, options.platform), name, options);
    } catch (error) {
      if (!(error instanceof TareError) || error.code !== 'not-found') throw error;
      const own = options.onOwn && ownImage(store, name);
      if (own) {
        const image = kept(store, loadImage(store, own, options.platform), name, options);
        options.onOwn?.(own);
        return image;
      }
      if (way === 'never') throw error;
      notHere = error;
    }
  const reference = parseReference(name);
  const pulled = pullFor(store, reference, pulling, isForContainer).catch(async (error: unknown) => {
    if (!(error instanceof TareError) || options.signal?.aborted) throw error;
    throw await explainPull(store, reference, error, notHere);
  });
  await (await pulled).unpacked;
  return kept(store, loadImage(store, reference, options.platform), name, options);
}

/** The code of registries is loaded only when it is needed. */
async function pullFor(
  store: ImageStore,
  reference: Reference,
  options: PullOptions & { readonly lease: Lease },
  isForContainer = false,
): Promise<Partial<PulledUnpacked>> {
  if (isForContainer) return (await import('./pull-unpacked.js')).pullUnpacked(store, reference, options);
  return (await import('./registry/index.js')).pull(store, reference, options);
}

/** That of a bare name: one that says neither a registry nor a user of one, and that stands for nothing here. Podman resolves short names in this way too. */
function ownImage({ names }: ImageStore, name: string): Reference | undefined {
  if (name.includes('/')) return undefined;
  const reference = parseReference(name);
  const own = { ...reference, registry: 'localhost', repository: name.replace(/[:@].*$/, '') };
  return !names.get(reference) && names.get(own) ? own : undefined;
}

/** From here on until it is unpacked nobody takes it away. */
function kept({ content }: ImageStore, image: Image, name: string, { isWhole, lease }: ObtainOptions): Image {
  const { target, manifestDescriptor, manifest } = image;
  for (const { digest } of [target, manifestDescriptor, manifest.config, ...manifest.layers]) lease.addBlob(digest);
  const missing = isWhole && manifest.layers.find(({ digest }) => !content.has(digest));
  if (!missing) return image;
  throw new TareError('not-found', `${name} is not whole: its layer ${missing.digest} is missing`);
}

/** What the registry says, and what is here. */
export async function explainPull(
  { names }: Pick<ImageStore, 'names'>,
  reference: Reference,
  error: TareError,
  notHere?: TareError,
): Promise<TareError> {
  const { code, message, path } = error;
  if (notHere && names.get(reference))
    return new TareError('not-found', `${notHere.message}; and from its registry: ${message}`, { cause: error });
  const { bootstrapHint } = await import('./bootstrap/index.js');
  // What else there is helps only who may have misspelt it. (Of what is not there, registries also say that it is forbidden.)
  if (code !== 'not-found' && code !== 'network' && code !== 'permission') return error;
  if (names.get(reference)) return error;
  const similar = similarName(names, familiarName(reference));
  const hint = similar === undefined ? bootstrapHint(reference) : `did you mean "${similar}", which is here?`;
  if (hint === undefined) return error;
  return new TareError(code, `${message} (${hint})`, { cause: error, ...(path !== undefined && { path }) });
}
