/**
 * The layer that an overlay's upper folder is: everything in it that is not as it is below. The kernel marks there what is gone by a character device 0:0, and
 * a directory that hides the one below by an attribute. Overlays of Tare are mounted without redirects, so a renamed directory is all there.
 * Documentation/filesystems/overlayfs.rst of the kernel, "Whiteouts and opaque directories"
 */
import { sameAttributes, sameFile } from './compare.js';
import {
  checkName,
  fileEntry,
  type LayerEntry,
  linkEntry,
  opaqueEntry,
  type Path,
  pathIn,
  whiteoutAt,
  whiteoutEntry,
} from './entries.js';
import type { Node } from './node.js';

/**
 * In the order of the names, a directory before what is in it.
 * @param lower the tree of the folders below, merged
 */
export async function* upperEntries(upper: Node, lower: Node): AsyncGenerator<LayerEntry, void, void> {
  if (!sameAttributes(upper, lower)) yield fileEntry(EMPTY, upper) as LayerEntry;
  yield* below(EMPTY, upper, lower, new Map());
}

/** @param firstNames of a file with several names, the one that was given first */
async function* below(
  folder: Path,
  upper: Node,
  lower: Node | undefined,
  firstNames: Map<string, Path>,
): AsyncGenerator<LayerEntry, void, void> {
  for (const name of upper.names()) {
    using node = upper.child(name);
    using old = lower?.child(name);
    if (!node) continue;
    if (node.isWhiteout) {
      // A name that is not below needs no sign that it is gone.
      if (old) yield whiteoutEntry(folder, name);
      continue;
    }
    checkName(folder, name);
    const path = pathIn(folder, name);
    if (node.isDirectory) yield* directory(path, node, old, firstNames);
    else yield* file(path, node, old, firstNames);
  }
}

async function* directory(
  path: Path,
  node: Node,
  old: Node | undefined,
  firstNames: Map<string, Path>,
): AsyncGenerator<LayerEntry, void, void> {
  const hides = old?.isDirectory === true && node.overlays('opaque') === 'y';
  const merged = old?.isDirectory && !hides ? old : undefined;
  // A parent that is as it was is there only for what is in it.
  if (!merged || !sameAttributes(node, merged)) yield fileEntry(path, node) as LayerEntry;
  if (hides) yield opaqueEntry(path);
  yield* below(path, node, merged, firstNames);
}

async function* file(
  path: Path,
  node: Node,
  old: Node | undefined,
  firstNames: Map<string, Path>,
): AsyncGenerator<LayerEntry, void, void> {
  const key = node.status.nlink > 1 ? `${node.status.dev}:${node.status.ino}` : undefined;
  const first = key === undefined ? undefined : firstNames.get(key);
  if (first) {
    yield linkEntry(path, node, first);
    return;
  }
  // Opened for writing, or changed and changed back. Of several names, here or below, it is not known which were one file and are none any more.
  if (key === undefined && old?.status.nlink === 1 && (await sameFile(node, old))) return;
  if (key !== undefined) firstNames.set(key, path);
  // A socket cannot be in a layer; what it took the place of is gone all the same.
  const entry = fileEntry(path, node) ?? (old && whiteoutAt(path));
  if (entry) yield entry;
}

const EMPTY = Buffer.alloc(0);
