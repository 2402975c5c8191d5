/** The face of image/run/: containers of images. */
export { HEALTHCHECK, imageAnnotations } from './annotations.js';
export { containerConfig, type RunSettings } from './config.js';
export { type ImageContainer, type ImageContainerOptions, imageContainer } from './container.js';
export { collectFolders } from './leftover.js';
