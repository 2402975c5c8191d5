/** The face of image/: `import { build, ImageStore, pull } from 'tare/image'`. */
export { importRootfs, loadArchive, loadLayout, saveArchive, saveLayout } from './archive/index.js';
export {
  BuildContext,
  type BuildEvent,
  type BuildOptions,
  type BuildResult,
  build,
  type OnBuildEvent,
  RunFailed,
  type Secret,
  type StepInfo,
} from './build/index.js';
export { type DiffOptions, layerOfTrees, layerOfUpper } from './diff/index.js';
export { findImage, loadImage } from './image.js';
export { type ListedImage, listImages } from './list.js';
export { type ObtainOptions, obtainImage, type PullWay } from './obtain.js';
export { formatPlatform, hostPlatform, parsePlatform } from './platform.js';
export { type Pruned, type PruneOptions, prune } from './prune.js';
export { familiarName, fullName, parseReference, type Reference } from './reference.js';
export { findReferrers, listReferrers, listTags, login, logout, pull, push } from './registry/index.js';
export { containerConfig, type ImageContainer, imageContainer } from './run/index.js';
export { chainIdOf, chainIdsOf, mountOverlay, openSnapshots } from './snapshot/index.js';
export { ImageStore } from './store/index.js';
export type * from './types.js';
