/** The face of image/archive: images as files, in and out. */
export type { ArchiveStore } from './contents.js';
export { type ImportedImage, type ImportOptions, importRootfs } from './import.js';
export { type LoadedImage, type LoadOptions, loadArchive, loadLayout } from './load.js';
export { type SaveOptions, saveArchive, saveLayout } from './save.js';
export { writeArchive } from './to-file.js';
export type { Sink } from './write.js';
