/** What archives of images are made of: files and folders of root's, always with the same mode and time, so that the same images make the same archive. */
import type { NewEntry } from '../layer/index.js';

/** @param size of the content, in bytes */
export function plainFile(name: string, size: number): NewEntry {
  return { type: 'file', name: Buffer.from(name), mode: 0o644, size };
}

export function plainFolder(name: string): NewEntry {
  return { type: 'directory', name: Buffer.from(name), mode: 0o755 };
}
