/**
 * Virtual machines: an image built from Debian packages, a saved machine to copy, and machines that are driven through an
 * agent of our own. `createProvider` is all that most callers need; set-up calls the two preparations for their progress.
 */
export { type Image, prepareImage, readyImage } from './image/index.js';
export type { Progress } from './image/store.js';
export type * from './machine.js';
export { createProvider, type ProviderOptions } from './provider.js';
export { findSnapshot, prepareSnapshot, type Snapshot } from './snapshot.js';
