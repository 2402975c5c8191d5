/**
 * What an image's layers make of each other: a tree to which one layer after the other is applied, and that remembers which layer each file is from. So it
 * is known what a layer added, changed and removed, and how many bytes of it later layers hide: those are stored, sent, and never seen.
 * layer.md of the image specification, "Applying Changesets"
 */
import { createHash } from 'node:crypto';
import type { TarHeader } from '../layer/index.js';

/** One path of a layer. */
export interface Change {
  /** Components joined by `/`, a character a byte (latin1); '' is the root. */
  readonly path: string;
  readonly kind: 'added' | 'changed' | 'removed';
  readonly type: TarHeader['type'];
  /** Of a file its size; of what was removed, all that was in it. */
  readonly bytes: number;
  /** How many paths were removed with it. */
  readonly below?: number;
}

/** What one layer did. */
export interface LayerChanges {
  readonly changes: readonly Change[];
  /** Bytes in the files that it brought. */
  readonly bytes: number;
  /** Of these, how many later layers hide. Known once all layers have been applied. */
  readonly wasted: number;
  readonly whiteouts: number;
  /** Directories of which it hides all that was below. */
  readonly opaque: number;
}

/** The bytes of a file, which hard links share. */
interface Content {
  readonly layer: MutableLayer;
  readonly bytes: number;
  names: number;
}

interface Node {
  /** undefined of what is gone, and of a directory that no layer names. */
  type: TarHeader['type'] | undefined;
  /** Of a directory what a layer keeps of it besides its name: see `seal`. */
  seal: string;
  layer: number;
  content: Content | undefined;
  children: Map<string, Node> | undefined;
  /** The last layer that took away what those before it had in here: it finds nothing the second time, and need not look. */
  cleared: number;
}

interface MutableLayer {
  changes: Change[];
  bytes: number;
  wasted: number;
  whiteouts: number;
  opaque: number;
}

export class ChangeTree {
  readonly #root: Node = emptyNode();
  readonly #layers: MutableLayer[] = [];
  #layer!: MutableLayer;

  get layers(): readonly LayerChanges[] {
    return this.#layers;
  }

  /** The next layer, over those that there are. */
  begin(): void {
    this.#layer = { changes: [], bytes: 0, wasted: 0, whiteouts: 0, opaque: 0 };
    this.#layers.push(this.#layer);
  }

  /** A file, directory … of this layer. `link`: the path of the file of which it is another name. */
  add(path: string, header: TarHeader, link?: string): void {
    const node = this.#make(path);
    const { type: before, layer } = node;
    const isDirectory = header.type === 'directory';
    const bytes = header.type === 'file' ? header.size : 0;
    const isOwn = before !== undefined && layer === this.#now;
    const stays = isDirectory && (before === undefined || before === 'directory');
    // A directory that no layer names has nothing of its own, but what is in it.
    const hidden = stays ? 0 : this.#forget(node, Number.POSITIVE_INFINITY).names;
    const seal = isDirectory ? sealOf(header) : '';
    // Layers name the parents of what they have, mostly as they are.
    const isSame = stays && before !== undefined && node.seal === seal;
    // Twice in one layer: it is told once, and the last is what counts.
    if (!isSame && !isOwn) {
      // The root is there even if no layer has named it.
      const isOld = before !== undefined || hidden > 0 || (path === '' && this.#now > 1);
      const kind = isOld ? 'changed' : 'added';
      this.#layer.changes.push({ path, kind, type: header.type, bytes });
    }
    const target = link === undefined ? undefined : this.#find(link)?.content;
    if (target) target.names++;
    node.content = target ?? (bytes > 0 ? { layer: this.#layer, bytes, names: 1 } : undefined);
    if (!target) this.#layer.bytes += bytes;
    node.type = header.type;
    node.seal = seal;
    node.layer = this.#now;
  }

  /** A whiteout: what layers below have of this name is gone. */
  remove(path: string): void {
    this.#layer.whiteouts++;
    const node = this.#find(path);
    if (node) this.#removed(path, node);
  }

  /** All that layers below have in this directory is gone. */
  clear(path: string): void {
    this.#layer.opaque++;
    const node = this.#find(path);
    if (!node || node.cleared === this.#now) return;
    for (const [name, child] of node.children ?? []) this.#removed(path === '' ? name : `${path}/${name}`, child);
    node.cleared = this.#now;
  }

  get #now(): number {
    return this.#layers.length;
  }

  #removed(path: string, node: Node): void {
    const type = node.type ?? 'directory';
    const old = node.type !== undefined && node.layer < this.#now;
    const { bytes, names } = this.#forget(node, this.#now);
    if (old || names > 0)
      this.#layer.changes.push({ path, kind: 'removed', type, bytes, below: Math.max(names - 1, 0) });
  }

  /** Takes the node and what is in it away, where it is of a layer before `before`. @returns what that was */
  #forget(node: Node, before: number): { bytes: number; names: number } {
    let bytes = 0;
    let names = 0;
    const stack = [node];
    const now = this.#now;
    for (let at = stack.pop(); at; at = stack.pop()) {
      if (at.type !== undefined && at.layer < before) {
        names++;
        bytes += at.content?.bytes ?? 0;
        if (at.content && --at.content.names === 0) at.content.layer.wasted += at.content.bytes;
        at.type = undefined;
        at.content = undefined;
      }
      if (before > now || at.cleared !== now) for (const child of at.children?.values() ?? []) stack.push(child);
      at.cleared = now;
    }
    if (before > now) node.children = undefined; // of a file in the place of a folder: all of it is gone
    return { bytes, names };
  }

  #make(path: string): Node {
    let node = this.#root;
    for (const part of path === '' ? [] : path.split('/')) {
      node.children ??= new Map();
      let next = node.children.get(part);
      if (!next) {
        next = emptyNode();
        node.children.set(part, next);
      }
      node = next;
    }
    return node;
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const part of path === '' ? [] : path.split('/')) node = node?.children?.get(part);
    return node;
  }
}

function emptyNode(): Node {
  return { type: undefined, seal: '', layer: 0, content: undefined, children: undefined, cleared: 0 };
}

/** The same for the same owner, mode, time and attributes; short, however many attributes somebody has given it. */
function sealOf({ mode, uid, gid, mtimeNs, xattrs }: TarHeader): string {
  const plain = `${mode} ${uid} ${gid} ${mtimeNs}`;
  if (xattrs.length === 0) return plain;
  const all = xattrs.map(({ name, value }) => `${name.toString('hex')}=${value.toString('hex')}`).sort();
  return `${plain} ${createHash('sha256').update(all.join(',')).digest('base64')}`;
}
