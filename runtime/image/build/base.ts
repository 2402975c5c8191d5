/** FROM, and `--from` where it names no stage: an image of the store, or of a registry when the store has none. */
import type { Digest, ImageConfig, Platform } from '../../oci/image/index.js';
import { obtainImage } from '../obtain.js';
import type { Image, OnProgress } from '../types.js';
import type { BuiltLayer } from './cache.js';
import type { Session } from './session.js';

/** With all its layers, which are kept from now on. @throws TareError `not-found`, and what the registry says */
export function baseImage(
  { store, lease, signal, pull }: Session,
  name: string,
  platform: Platform,
  onProgress: OnProgress,
): Promise<Image> {
  return obtainImage(store, name, { pull, lease, signal, platform, onProgress, isWhole: true });
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
