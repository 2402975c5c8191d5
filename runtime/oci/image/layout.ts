/** What an image layout has besides its blobs: a file that says what it is, and in its index the names of images. image-layout.md */
import { type Descriptor, MEDIA } from './types.js';

/** The content of the file `oci-layout`. */
export const LAYOUT_FILE = JSON.stringify({ imageLayoutVersion: '1.0.0' });

/** By this annotation an entry of index.json has its name. annotations.md */
export const REF_NAME = 'org.opencontainers.image.ref.name';

/** The content of index.json. image-index.md */
export function layoutIndex(manifests: readonly Descriptor[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests });
}
