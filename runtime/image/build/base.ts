/** FROM, and `--from` where it names no stage: an image of the store, or of a registry when the store has none. */
import { TareError } from '../../kernel/error.js';
import type { Digest, ImageConfig, Platform } from '../../oci/image/index.js';
import { bootstrapHint } from '../bootstrap/index.js';
import { loadImage } from '../image.js';
import { parseReference } from '../reference.js';
import type { Image, OnProgress } from '../types.js';
import type { BuiltLayer } from './cache.js';
import type { Session } from './session.js';

/** When a registry is asked: always, where the image is not here, or never. */
export type Pull = 'always' | 'missing' | 'never';

/** @throws TareError `not-found`, and what the registry says */
export async function baseImage(
  session: Session,
  name: string,
  platform: Platform,
  onProgress: OnProgress,
): Promise<Image> {
  const { store, lease, signal, pull: way } = session;
  const here = way === 'always' ? undefined : findHere(session, name, platform);
  if (here) return here;
  // Loaded only when it is needed.
  const { pull } = await import('../registry/index.js');
  const reference = parseReference(name);
  try {
    await pull(store, reference, { lease, platform, onProgress, signal });
  } catch (error) {
    const hint = error instanceof TareError && !signal.aborted ? bootstrapHint(reference) : undefined;
    if (hint === undefined) throw error;
    const { code, message } = error as TareError;
    throw new TareError(code, `${message}; ${hint}`, { cause: error });
  }
  return loadImage(store, reference, platform);
}

/** With all its layers, which are kept from now on. */
function findHere({ store, lease, pull }: Session, name: string, platform: Platform): Image | undefined {
  try {
    const image = loadImage(store, name, platform);
    for (const { digest } of [image.manifestDescriptor, image.manifest.config, ...image.manifest.layers])
      lease.addBlob(digest);
    const missing = image.manifest.layers.find(({ digest }) => !store.content.has(digest));
    if (!missing) return image;
    throw new TareError('not-found', `${name} is not whole: its layer ${missing.digest} is missing`);
  } catch (error) {
    if (pull === 'never' || !(error instanceof TareError && error.code === 'not-found') || !isName(name)) throw error;
    return undefined;
  }
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

function isName(name: string): boolean {
  try {
    parseReference(name);
    return true;
  } catch (error) {
    if (error instanceof TareError && error.code === 'usage') return false;
    throw error;
  }
}
