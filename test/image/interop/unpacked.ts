/** The tree of an image as Tare unpacks it, and an image with everything in it that a layer can hold. */
import { loadImage } from '../../../runtime/image/image.js';
import { mountOverlay, openSnapshots } from '../../../runtime/image/snapshot/index.js';
import type { ImageStore } from '../../../runtime/image/store/index.js';
import { makeImage, makeLayer, type TestImage } from '../../harness/images.js';
import type { TarEntry } from '../../harness/tar.js';
import { describeTree, type Tree } from '../../harness/tree.js';

export async function treeOf(store: ImageStore, name: string): Promise<Tree> {
  using lease = store.lease();
  const snapshots = openSnapshots(store);
  const lower = snapshots.lower(await snapshots.unpack(loadImage(store, name), lease));
  const [only, ...others] = lower;
  if (only !== undefined && others.length === 0) return describeTree(only);
  using root = await mountOverlay({ lower });
  return describeTree(`/proc/${process.pid}/fd/${root.fd}/`);
}

/** cap_net_raw+ep, as capabilities(7) has it in an extended attribute: revision 2, the effective bit, two words each of two masks. */
const CAP_NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const LONG = 'a-name-that-does-not-fit-into-a-header-of-tar/'.repeat(4);

const LONG_FOLDERS = [1, 2, 3, 4].map((count) => 'a-name-that-does-not-fit-into-a-header-of-tar/'.repeat(count));

/** A link says of its file what the file says: engines differ in whom they believe. */
const TOOL = { mode: 0o4755, mtime: '1600000002.123456789', uid: 0, gid: 5 };

const base: readonly TarEntry[] = [
  { path: './', mode: 0o755, mtime: 1_600_000_000 },
  { path: 'bin/', mtime: '1600000001.000000001' },
  { path: 'bin/tool', ...TOOL, content: 'tool' },
  { path: 'bin/again', ...TOOL, type: 'hardlink', target: 'bin/tool' },
  { path: 'bin/capable', mode: 0o755, content: 'capable', xattrs: { 'security.capability': CAP_NET_RAW } },
  { path: 'dev/', mode: 0o700 },
  { path: 'dev/null', type: 'character', mode: 0o666, major: 1, minor: 3 },
  { path: 'dev/disk', type: 'block', mode: 0o660, major: 7, minor: 200, gid: 6 },
  { path: 'dev/pipe', type: 'fifo', mode: 0o600 },
  { path: 'tmp/', mode: 0o1777, mtime: 1 },
  { path: 'link', type: 'symlink', mode: 0o777, target: '../no/where', uid: 1000, gid: 1000, mtime: 1_500_000_000 },
  { path: 'foreign/', uid: 70_000, gid: 3_000_000 },
  { path: 'foreign/file', uid: 2_000_000_000, gid: 70_000, mode: 0, content: '' },
  ...LONG_FOLDERS.map((path) => ({ path, mtime: 1_300_000_000 })),
  { path: `${LONG}file`, content: 'long', mtime: 1_400_000_000 },
  { path: 'opaque/' },
  { path: 'opaque/hidden', content: 'hidden' },
  { path: 'opaque/deep/' },
  { path: 'opaque/deep/hidden', content: 'hidden' },
  { path: 'gone/' },
  { path: 'gone/file', content: 'gone' },
  { path: 'changed', content: 'before' },
  { path: 'turned/' },
  { path: 'turned/file', content: 'x' },
];

/** An overlay's files of two layers are two: the link to a file of the layer below is a copy, as overlayfs itself makes one. */
export const LINK_TO_BELOW = 'bin/third';

const above: readonly TarEntry[] = [
  { path: 'opaque/', mode: 0o750, mtime: 1_650_000_000 },
  { path: 'opaque/.wh..wh..opq' },
  { path: 'opaque/seen', content: 'seen' },
  { path: '.wh.gone' },
  { path: 'changed', mode: 0o600, content: 'after', mtime: '1650000001.5' },
  { path: 'turned', content: 'a file now' },
  { path: LINK_TO_BELOW, ...TOOL, type: 'hardlink', target: 'bin/tool' },
  { path: 'bin/', mtime: '1650000002.000000007' },
];

/** Of one layer, and of two. */
export function richImages(): { readonly one: TestImage; readonly two: TestImage } {
  const [lower, upper] = [makeLayer(base), makeLayer(above)];
  const config = { Cmd: ['/bin/tool'], Env: ['A=b'] };
  return { one: makeImage([lower], { config }), two: makeImage([lower, upper], { config }) };
}
