/**
 * What a media type stands for. Docker's names and the OCI's are two names of the same things; those of layers that are not to be passed on
 * ("foreign", "nondistributable") are read like others.
 * media-types.md; layer.md, "Non-Distributable Layers"; distribution's manifest-v2-2 document
 */
import { TareError } from '../../kernel/error.js';
import { type Compression, type Descriptor, MEDIA } from './types.js';

export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA.ociIndex || mediaType === MEDIA.dockerIndex;
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === MEDIA.ociManifest || mediaType === MEDIA.dockerManifest;
}

/** The config of an image that can run; artifacts (signatures, charts) have others. */
export function isConfigType(mediaType: string): boolean {
  return mediaType === MEDIA.ociConfig || mediaType === MEDIA.dockerConfig;
}

/** How a layer is packed, by its media type. @throws TareError `unsupported` for what is no layer of a file system */
export function layerCompression({ mediaType, digest }: Pick<Descriptor, 'mediaType' | 'digest'>): Compression {
  const found = COMPRESSIONS.get(mediaType);
  if (found !== undefined) return found;
  throw new TareError(
    'unsupported',
    `${digest} is ${JSON.stringify(mediaType)}, which is no layer that Tare can unpack: it knows tar, by itself, with gzip and with zstd`,
    { path: digest },
  );
}

/** What a layer that is packed so is called. */
export const LAYER_TYPES: Readonly<Record<Compression, string>> = {
  none: MEDIA.ociLayer,
  gzip: MEDIA.ociLayerGzip,
  zstd: MEDIA.ociLayerZstd,
};

const COMPRESSIONS: ReadonlyMap<string, Compression> = new Map([
  [MEDIA.ociLayer, 'none'],
  [MEDIA.ociLayerGzip, 'gzip'],
  [MEDIA.ociLayerZstd, 'zstd'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', 'zstd'],
  [MEDIA.dockerLayer, 'none'],
  [MEDIA.dockerLayerGzip, 'gzip'],
  [MEDIA.dockerLayerZstd, 'zstd'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'gzip'],
]);
