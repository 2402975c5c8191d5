/**
 * The layer that makes one tree of another: what is new or not as it was, and the names that are gone. Also which names are one file counts: where that
 * changed, all names of the file are in the layer.
 */
import { sameAttributes, sameFile } from './compare.js';
import {
  checkName,
  fileEntry,
  type LayerEntry,
  linkEntry,
  type Path,
  pathIn,
  whiteoutAt,
  whiteoutEntry,
} from './entries.js';
import type { Node } from './node.js';

/** In the order of the names, a directory before what is in it. @param before undefined: nothing, so that the layer is the whole tree */
export async function* treeEntries(before: Node | undefined, after: Node): AsyncGenerator<LayerEntry, void, void> {
  const links = { before: before ? namesOfFiles(before) : new Map(), after: namesOfFiles(after), given: new Map() };
  if (!before || !sameAttributes(before, after)) yield fileEntry(EMPTY, after) as LayerEntry;
  yield* below(EMPTY, before, after, links);
}

/** Of files with several names: these, by the file. */
type Names = ReadonlyMap<string, readonly Path[]>;

interface Links {
  readonly before: Names;
  readonly after: Names;
  /** The name under which a file has been given. */
  readonly given: Map<string, Path>;
}

async function* below(
  folder: Path,
  before: Node | undefined,
  after: Node,
  links: Links,
): AsyncGenerator<LayerEntry, void, void> {
  for (const name of union(before?.names() ?? [], after.names())) {
    using old = before?.child(name);
    using node = after.child(name);
    const path = pathIn(folder, name);
    if (!node) {
      if (old) yield whiteoutEntry(folder, name);
      continue;
    }
    checkName(folder, name);
    if (!node.isDirectory) {
      yield* file(path, old, node, links);
      continue;
    }
    const merged = old?.isDirectory ? old : undefined;
    if (!merged || !sameAttributes(merged, node)) yield fileEntry(path, node) as LayerEntry;
    yield* below(path, merged, node, links);
  }
}

async function* file(
  path: Path,
  old: Node | undefined,
  node: Node,
  links: Links,
): AsyncGenerator<LayerEntry, void, void> {
  if (old && sameNames(old, node, links) && (await sameFile(old, node))) return;
  const first = links.given.get(keyOf(node));
  if (first) {
    yield linkEntry(path, node, first);
    return;
  }
  // A socket cannot be in a layer; what it took the place of is gone all the same.
  const entry = fileEntry(path, node) ?? (old && whiteoutAt(path));
  if (!entry) return;
  if (links.after.has(keyOf(node))) links.given.set(keyOf(node), path);
  yield entry;
}

function sameNames(old: Node, node: Node, links: Links): boolean {
  const [before = [], after = []] = [links.before.get(keyOf(old)), links.after.get(keyOf(node))];
  return before.length === after.length && before.every((path, i) => path.equals(after[i] ?? EMPTY));
}

/** In the order of the names, so that two can be compared. */
function namesOfFiles(root: Node): Names {
  const names = new Map<string, Path[]>();
  const look = (folder: Path, node: Node) => {
    for (const name of node.names()) {
      using child = node.child(name);
      if (!child) continue;
      const path = pathIn(folder, name);
      if (child.isDirectory) look(path, child);
      else if (child.status.nlink > 1) {
        const known = names.get(keyOf(child));
        if (known) known.push(path);
        else names.set(keyOf(child), [path]);
      }
    }
  };
  look(EMPTY, root);
  // The others of its names are elsewhere.
  for (const [key, paths] of names) if (paths.length === 1) names.delete(key);
  return names;
}

function keyOf({ status }: Node): string {
  return `${status.dev}:${status.ino}`;
}

/** Both are in order. */
function union(a: readonly Buffer[], b: readonly Buffer[]): Buffer[] {
  const all: Buffer[] = [];
  for (let [i, j] = [0, 0]; i < a.length || j < b.length; ) {
    const [one, other] = [a[i], b[j]];
    const order = one === undefined ? 1 : other === undefined ? -1 : one.compare(other);
    all.push((order <= 0 ? one : other) as Buffer);
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
  return all;
}

const EMPTY = Buffer.alloc(0);
