/** The image that a stage is: its config and manifest, as blobs. What differs in nothing but its times from an image that has been built is that image. */
import {
  type Descriptor,
  type Digest,
  digestOf,
  type ImageConfig,
  type ImageManifest,
  MEDIA,
} from '../../oci/image/index.js';
import type { BuiltLayer } from './cache.js';
import { stepKey } from './key.js';
import { type Session, timeOf } from './session.js';
import type { StageResult } from './stage.js';

export interface BuiltImage {
  readonly manifest: Descriptor;
  /** The digest of the config. */
  readonly imageId: Digest;
  readonly layers: readonly BuiltLayer[];
}

/** @param labels by `--label`: they win over those of the Dockerfile */
export async function writeImage(
  session: Session,
  { files, state, history, platform }: StageResult,
  labels: ReadonlyMap<string, string>,
): Promise<BuiltImage> {
  const { store, lease } = session;
  const Labels = { ...state.config.Labels, ...Object.fromEntries(labels) };
  const timeless: ImageConfig = {
    ...platform,
    ...(state.author !== undefined && { author: state.author }),
    config: { ...state.config, ...(Object.keys(Labels).length > 0 && { Labels }) },
    rootfs: { type: 'layers', diff_ids: files.layers.map(({ diffId }) => diffId) },
    history,
  };
  const config = Buffer.from(JSON.stringify(withTimes(session, timeless)));
  const configDescriptor = await store.content.put(config, MEDIA.ociConfig, lease);
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.ociManifest,
    config: configDescriptor,
    layers: files.layers.map(({ descriptor }) => layerDescriptor(descriptor)),
  };
  const described = await store.content.put(Buffer.from(JSON.stringify(manifest)), MEDIA.ociManifest, lease);
  return { manifest: described, imageId: digestOf(config), layers: files.layers };
}

/** When it was made, and each empty step of it: as last time, where it is the same otherwise. */
function withTimes(session: Session, timeless: ImageConfig): ImageConfig {
  const key = stepKey('image', JSON.stringify(timeless));
  const known = session.useCache && session.epoch === undefined ? session.cache.times(key)?.[0] : undefined;
  const now = known ?? timeOf(session);
  if (known === undefined) session.cache.saveTimes(key, [now]);
  return {
    created: now,
    ...timeless,
    history: timeless.history?.map((entry) => ({ created: now, ...entry })),
  };
}

/** What a base's descriptor says besides, such as where it could be fetched, is of the base's manifest. */
function layerDescriptor({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType: OCI_TYPES.get(mediaType) ?? mediaType, digest, size };
}

/** An OCI manifest has OCI layers; the bytes are the same. */
const OCI_TYPES: ReadonlyMap<string, string> = new Map([
  [MEDIA.dockerLayer, MEDIA.ociLayer],
  [MEDIA.dockerLayerGzip, MEDIA.ociLayerGzip],
  [MEDIA.dockerLayerZstd, MEDIA.ociLayerZstd],
]);
