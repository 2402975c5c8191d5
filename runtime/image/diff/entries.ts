/**
 * The entries of a layer: a file that is there, a name that is gone (`.wh.` before it), a directory of which nothing below is left (`.wh..wh..opq` in it).
 * layer.md of the image specification, "Whiteouts"
 */
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../../kernel/constants/stat.js';
import { TareError } from '../../kernel/error.js';

import { showName, type TarHeader, type TarType } from '../layer/index.js';
import { chunksOf, extentsOf } from './content.js';
import type { Node } from './node.js';

/** An entry, and what it holds, which can be read until the next entry is asked for. */
export interface LayerEntry {
  readonly header: TarHeader;
  readonly chunks: () => AsyncIterable<Buffer>;
}

/** Where an entry is in the tree: its path, without a slash before it; empty for the root. */
export type Path = Buffer;

export function pathIn(folder: Path, name: Buffer): Path {
  return folder.length === 0 ? name : Buffer.concat([folder, SLASH, name]);
}

/** The file as it is. undefined for a socket, which means nothing without its process. @throws TareError `unsupported` for a name that a layer cannot have */
export function fileEntry(path: Path, node: Node): LayerEntry | undefined {
  const type = TYPES.get(node.type);
  if (!type) return undefined;
  const sparse = type === 'file' ? extentsOf(node) : undefined;
  const isDevice = type === 'character' || type === 'block';
  const header: TarHeader = {
    ...attributesOf(node),
    type,
    name: type === 'directory' ? Buffer.concat([path.length === 0 ? DOT : path, SLASH]) : path,
    linkName: node.target(),
    size: type === 'file' ? node.status.size : 0,
    major: isDevice ? node.status.rdevMajor : 0,
    minor: isDevice ? node.status.rdevMinor : 0,
    xattrs: node.xattrs(),
    ...(sparse && { sparse }),
  };
  return { header, chunks: type === 'file' ? () => chunksOf(node, sparse) : nothing };
}

/** Another name of a file that has been given before. */
export function linkEntry(path: Path, node: Node, first: Path): LayerEntry {
  const header: TarHeader = { ...attributesOf(node), ...PLAIN, type: 'link', name: path, linkName: first };
  return { header, chunks: nothing };
}

export function whiteoutEntry(folder: Path, name: Buffer): LayerEntry {
  return marker(pathIn(folder, Buffer.concat([WHITEOUT, name])));
}

/** The same of a whole path. */
export function whiteoutAt(path: Path): LayerEntry {
  const slash = path.lastIndexOf(SLASH);
  return whiteoutEntry(path.subarray(0, Math.max(slash, 0)), path.subarray(slash + 1));
}

/** What lies below in this directory does not show. */
export function opaqueEntry(folder: Path): LayerEntry {
  return marker(pathIn(folder, OPAQUE));
}

/** @throws TareError `unsupported`: who unpacks the layer would take the file for the sign that another is gone */
export function checkName(folder: Path, name: Buffer): void {
  if (!name.subarray(0, WHITEOUT.length).equals(WHITEOUT)) return;
  throw new TareError(
    'unsupported',
    `${showName(pathIn(folder, name))} cannot be in a layer, where a name that begins with ".wh." says that a file is gone: rename or remove it`,
  );
}

const SLASH = Buffer.from('/');
const DOT = Buffer.from('.');
const WHITEOUT = Buffer.from('.wh.');
const OPAQUE = Buffer.from('.wh..wh..opq');

const TYPES: ReadonlyMap<number, TarType> = new Map([
  [S_IFREG, 'file'],
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'character'],
  [S_IFBLK, 'block'],
  [S_IFIFO, 'fifo'],
]);

const PLAIN = { linkName: Buffer.alloc(0), size: 0, major: 0, minor: 0, xattrs: [] } as const;

/** Says only that it is there, the same each time. */
function marker(name: Buffer): LayerEntry {
  const header: TarHeader = { ...PLAIN, type: 'file', name, mode: 0o600, uid: 0, gid: 0, mtimeNs: 0n };
  return { header, chunks: nothing };
}

function attributesOf({ status }: Node): Pick<TarHeader, 'mode' | 'uid' | 'gid' | 'mtimeNs'> {
  return { mode: status.mode & 0o7777, uid: status.uid, gid: status.gid, mtimeNs: status.mtimeNs };
}

async function* nothing(): AsyncGenerator<Buffer> {
  // A marker, a link or a directory holds no bytes.
}
