/** The face of oci/image: types and validation of the OCI image specification. */
export { digestOf, hashFor, isDigest, shortDigest, splitDigest } from './digest.js';
export { LAYOUT_FILE, layoutIndex, REF_NAME } from './layout.js';
export { isConfigType, isIndexType, isManifestType, LAYER_TYPES, layerCompression } from './media.js';
export {
  MAX_DOCUMENT,
  MAX_LAYERS,
  type ParseOptions,
  parseDescriptor,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from './parse.js';
export * from './types.js';
