/** FROM, and `--from` where it names no stage: an image of the store, or of a registry when the store has none. */
import { TareError } from '../../kernel/error.js';
import type { Digest, ImageConfig, Platform } from '../../oci/image/index.js';
import { imageOf, loadImage } from '../image.js';
import { parseReference } from '../reference.js';
import type { Image } from '../types.js';
import type { BuiltLayer } from './cache.js';
import type { Session } from './session.js';

/** Gets an image whose name, or whose platform, is not here. */
export type GetImage = (name: string, platform: Platform) => Promise<Pick<Image, 'target'>>;

/** @param getAlways asks the registry even where the image is here @throws TareError `not-found`, and what `getImage` throws */
export async function baseImage(
  session: Session,
  name: string,
  platform: Platform,
  getImage: GetImage | undefined,
  getAlways: boolean,
): Promise<Image> {
  const { store } = session;
  const get = async () => {
    if (!getImage) throw new TareError('not-found', `there is no image ${JSON.stringify(name)} here`);
    const { target } = await getImage(name, platform);
    return imageOf(store, target, platform, name);
  };
  if (getAlways && getImage) return leased(session, await get());
  let found: Image;
  try {
    found = leased(session, loadImage(store, name, platform));
    if (missing(session, found) === undefined) return found;
  } catch (error) {
    if (!(error instanceof TareError && error.code === 'not-found' && isName(name))) throw error;
    if (!getImage) throw error;
  }
  return leased(session, await get());
}

/** Its layers, with their names. */
export function layersOf({ manifest, config }: Pick<Image, 'manifest' | 'config'>): BuiltLayer[] {
  return manifest.layers.map((descriptor, i) => ({ descriptor, diffId: config.rootfs.diff_ids[i] as Digest }));
}

/** What of the base's config is about the machine. */
export function platformOf({ architecture, os, variant, ...rest }: ImageConfig): Platform {
  return {
    architecture,
    os,
    ...(variant !== undefined && { variant }),
    ...(rest['os.version'] !== undefined && { 'os.version': rest['os.version'] }),
    ...(rest['os.features'] !== undefined && { 'os.features': rest['os.features'] }),
  };
}

function leased(session: Session, image: Image): Image {
  for (const { digest } of [image.manifestDescriptor, image.manifest.config, ...image.manifest.layers])
    session.lease.addBlob(digest);
  return image;
}

function missing({ store }: Session, { manifest }: Image): Digest | undefined {
  return manifest.layers.find(({ digest }) => !store.content.has(digest))?.digest;
}

function isName(name: string): boolean {
  try {
    parseReference(name);
    return true;
  } catch (error) {
    if (error instanceof TareError && error.code === 'usage') return false;
    throw error;
  }
}
