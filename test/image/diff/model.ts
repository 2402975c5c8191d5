/**
 * Pairs of trees, made at random: what is in both, in one of them, or in both as something else; with all that a layer keeps. Few names, times and contents,
 * so that what looks the same and is not comes up often.
 */
import { linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { native } from '../../../runtime/kernel/addon.js';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_NOFOLLOW, O_PATH } from '../../../runtime/kernel/constants/open.js';
import { S_IFCHR, S_IFIFO } from '../../../runtime/kernel/constants/stat.js';

export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattr: string | undefined;
}

export type Leaf = Attributes &
  (
    | { readonly kind: 'file'; readonly content: string; readonly hole: boolean }
    | { readonly kind: 'link'; readonly to: number }
    | { readonly kind: 'symlink'; readonly target: string }
    | { readonly kind: 'fifo' | 'device' }
  );

export type Tree = Attributes & { readonly kind: 'directory'; readonly names: Readonly<Record<string, Tree | Leaf>> };

const attributes = fc.record({
  mode: fc.constantFrom(0o644, 0o755, 0o700, 0o4755, 0o1777),
  uid: fc.constantFrom(0, 1000, 3_000_000),
  gid: fc.constantFrom(0, 50),
  mtimeNs: fc.constantFrom(0n, 1_700_000_000_000_000_000n, 1_700_000_000_123_456_789n, -5_500_000_000n),
  xattr: fc.constantFrom(undefined, undefined, 'one', 'two'),
});

const leaf: fc.Arbitrary<Leaf> = fc
  .tuple(
    attributes,
    fc.oneof(
      fc.record({
        kind: fc.constant('file' as const),
        content: fc.constantFrom('', 'one', 'two', 'x'.repeat(70_000)),
        hole: fc.constantFrom(false, false, true),
      }),
      fc.record({ kind: fc.constant('link' as const), to: fc.nat(3) }),
      fc.record({ kind: fc.constant('symlink' as const), target: fc.constantFrom('a', '../b', '/c', 't\u00e4') }),
      fc.record({ kind: fc.constantFrom('fifo' as const, 'device' as const) }),
    ),
  )
  .map(([some, what]) => ({ ...some, ...what }) as Leaf);

/** Bytes, a character each: one is no UTF-8. */
const name = fc.constantFrom('a', 'b', 'c', 'd', '\xff\xfe', '\xc3\xa4 \n', 'n'.repeat(120));

type Pair = readonly [Tree | Leaf | undefined, Tree | Leaf | undefined];

const pairs = fc.letrec<{ pair: Pair; folders: readonly [Tree, Tree] }>((tie) => ({
  folders: fc
    .tuple(attributes, fc.option(attributes), fc.dictionary(name, tie('pair'), { maxKeys: 5 }))
    .map(([first, second, names]) => {
      const side = (i: 0 | 1) =>
        Object.fromEntries(Object.entries(names).flatMap(([key, pair]) => (pair[i] ? [[key, pair[i]]] : [])));
      return [
        { ...first, kind: 'directory' as const, names: side(0) },
        { ...(second ?? first), kind: 'directory' as const, names: side(1) },
      ] as const;
    }),
  pair: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    leaf.map((one) => [one, one] as const),
    leaf.map((one) => [one, undefined] as const),
    leaf.map((one) => [undefined, one] as const),
    fc.tuple(leaf, leaf),
    tie('folders'),
    tie('folders').map(([first]) => [first, undefined] as const),
    tie('folders').map(([first]) => [undefined, first] as const),
    fc.tuple(tie('folders'), leaf).map(([[folder], one]) => [folder, one] as const),
    fc.tuple(tie('folders'), leaf).map(([[folder], one]) => [one, folder] as const),
  ),
}));

export const treePairs: fc.Arbitrary<readonly [Tree, Tree]> = pairs.folders;

/** Makes it, in an empty folder. */
export function build(folder: string, tree: Tree): void {
  const files: Buffer[] = [];
  fill(Buffer.from(folder), tree, files);
  setAttributes(Buffer.from(folder), tree);
}

function fill(folder: Buffer, { names }: Tree, files: Buffer[]): void {
  for (const [name, node] of Object.entries(names)) {
    const path = Buffer.concat([folder, Buffer.from('/'), Buffer.from(name, 'latin1')]);
    const target = node.kind === 'link' ? files[node.to % Math.max(files.length, 1)] : undefined;
    if (target) {
      linkSync(target, path);
      continue;
    }
    make(path, node, files);
    setAttributes(path, node);
  }
}

function make(path: Buffer, node: Tree | Leaf, files: Buffer[]): void {
  if (node.kind === 'directory') {
    mkdirSync(path);
    fill(path, node, files);
  } else if (node.kind === 'symlink') symlinkSync(Buffer.from(node.target), path);
  else if (node.kind === 'fifo') native.mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0, 0);
  else if (node.kind === 'device') native.mknodat(AT_FDCWD, path, S_IFCHR | 0o600, 1, 3);
  else {
    files.push(path);
    writeFileSync(path, node.kind === 'file' ? node.content : 'a link to nothing yet');
    if (node.kind === 'file' && node.hole) extend(path);
  }
}

/** A hole of a megabyte, and some bytes behind it. */
function extend(path: Buffer): void {
  const fd = native.openat2(AT_FDCWD, path, 1, 0, 0);
  try {
    native.write(fd, Buffer.from('behind'), 1 << 20);
  } finally {
    native.close(fd);
  }
}

export function setAttributes(path: Buffer, { mode, uid, gid, mtimeNs, xattr }: Attributes): void {
  const fd = native.openat2(AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0, 0);
  try {
    native.fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
    if (!isLink(path)) native.fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW);
    if (xattr !== undefined) native.setxattr(fd, 'trusted.tare-test', Buffer.from(`${xattr}\0\xff`, 'latin1'));
    native.utimensat(AT_FDCWD, path, mtimeNs, mtimeNs, AT_SYMLINK_NOFOLLOW);
  } finally {
    native.close(fd);
  }
}

function isLink(path: Buffer): boolean {
  return ((native.fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)?.mode ?? 0) & 0o170000) === 0o120000;
}

/** The paths below a folder, as bytes; the folder itself not. */
export function pathsIn(folder: Buffer): Buffer[] {
  return readdirSync(folder, { withFileTypes: true, encoding: 'buffer' }).flatMap((entry) => {
    const name = entry.name as unknown as Buffer;
    const path = Buffer.concat([folder, Buffer.from('/'), name]);
    return entry.isDirectory() ? [path, ...pathsIn(path)] : [path];
  });
}
