/** The face of oci/image: types and validation of the OCI image specification. */
export { digestOf, hashFor, isDigest, parseDigest, shortDigest, splitDigest } from './digest.js';
export * from './types.js';
