/** The face of image/archive: images as files, in and out. */

export type { TarSink as Sink } from '../layer/index.js';
export type { ArchiveStore } from './contents.js';
export { type ImportedImage, type ImportOptions, importRootfs } from './import.js';
export { type LoadedImage, type LoadOptions, loadArchive, loadLayout } from './load.js';
export { type SaveOptions, saveArchive, saveLayout } from './save.js';
export { writeArchive } from './to-file.js';
