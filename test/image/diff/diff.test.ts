import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { layerOfTrees, layerOfUpper } from '../../../runtime/image/diff/index.js';
import { tarEntries } from '../../../runtime/image/layer/index.js';
import { mountOverlay } from '../../../runtime/image/snapshot/index.js';
import type { OverlayFolders } from '../../../runtime/image/types.js';
import { native } from '../../../runtime/kernel/addon.js';
import { OwnedFd } from '../../../runtime/kernel/fd.js';
import { makeImage, makeLayer, writeLayout } from '../../harness/images.js';
import { describeTree, diffTrees } from '../../harness/tree.js';
import { until } from '../../harness/until.js';
import { applied, open, seen, whole } from './layers.js';
import { build, pathsIn, setAttributes, treePairs } from './model.js';

/** More of them by TARE_RUNS. */
const RUNS = Number(process.env.TARE_RUNS ?? 10);
const EPOCH = 1_500_000_000;

let root: string;
let count = 0;

beforeEach((context) => {
  if (process.geteuid?.() !== 0) context.skip('only root makes such files and mounts here');
  root = mkdtempSync(join(tmpdir(), 'tare-diff-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function folder(name: string): string {
  const path = join(root, name);
  mkdirSync(path);
  return path;
}

async function namesOf(tar: Buffer): Promise<string[]> {
  const names: string[] = [];
  for await (const { type, name, linkName } of tarEntries(only(tar)))
    names.push(`${name.toString()}${type === 'link' ? ` = ${linkName}` : ''}`);
  return names;
}

async function* only(tar: Buffer): AsyncGenerator<Uint8Array> {
  yield tar;
}

async function treeLayer(before: string | undefined, after: string, options = {}): Promise<Buffer> {
  using to = open(after);
  if (before === undefined) return whole(layerOfTrees(undefined, to.fd, options));
  using from = open(before);
  return whole(layerOfTrees(from.fd, to.fd, options));
}

describe('any two trees', { timeout: 60_000 + RUNS * 5_000 }, () => {
  it('the layer between them makes one of the other, in everything', async () => {
    await fc.assert(
      fc.asyncProperty(treePairs, async ([first, second]) => {
        const at = folder(`run-${count++}`);
        const [before, after] = [join(at, 'before'), join(at, 'after')];
        mkdirSync(before);
        mkdirSync(after);
        build(before, first);
        build(after, second);
        const tar = await treeLayer(before, after);
        const tree = await applied(tar, before, join(at, 'layer'));
        expect(diffTrees(tree, describeTree(after))).toEqual([]);
        expect((await treeLayer(before, after)).equals(tar)).toBe(true);
        // Between equal trees there is nothing.
        expect(await namesOf(await treeLayer(after, after))).toEqual([]);
        rmSync(at, { recursive: true });
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  });

  it('whatever is done in an overlay is in its layer', async () => {
    const ops = fc.array(fc.tuple(fc.constantFrom(...(Object.keys(OPERATIONS) as Operation[])), fc.nat(), fc.nat()), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(treePairs, ops, async ([first], chosen) => {
        const at = folder(`run-${count++}`);
        const paths = ['lower', 'upper', 'work'].map((name) => join(at, name));
        for (const path of paths) mkdirSync(path);
        const [lower, upper, work] = paths as [string, string, string];
        build(lower, first);
        const folders = { lower: [lower], upper, work };
        const expected = await changed(folders, (inside) => {
          for (const [name, a, b] of chosen) perform(inside, name, a, b);
        });
        const tar = await whole(layerOfUpper(folders));
        expect(diffTrees(await applied(tar, lower, join(at, 'layer')), expected)).toEqual([]);
        expect((await whole(layerOfUpper(folders))).equals(tar)).toBe(true);
        rmSync(at, { recursive: true });
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  });
});

/** The tree after something was done in the overlay. */
async function changed(folders: OverlayFolders, work: (inside: string) => void) {
  using merged = await mountOverlay(folders);
  work(`/proc/self/fd/${merged.fd}`);
  return describeTree(seen(merged));
}

const attributes = { mode: 0o750, uid: 12, gid: 34, mtimeNs: 99n, xattr: 'changed' };
const OPERATIONS = {
  remove: (path: Buffer) => rmSync(path as unknown as string, { recursive: true }),
  write: (path: Buffer) => writeFileSync(path, 'written', { flag: 'r+' }),
  touch: (path: Buffer) => writeFileSync(path, '', { flag: 'r+' }),
  attributes: (path: Buffer) => setAttributes(path, attributes),
  rename: (path: Buffer, to: Buffer) => renameSync(path, to),
  link: (path: Buffer, to: Buffer) => linkSync(path, to),
  folder: (_: Buffer, to: Buffer) => mkdirSync(to),
  replace: (path: Buffer) => {
    rmSync(path as unknown as string, { recursive: true });
    mkdirSync(path);
    writeFileSync(Buffer.concat([path, Buffer.from('/in')]), 'new');
  },
} as const;
type Operation = keyof typeof OPERATIONS;

/** What cannot be (to rename a folder into itself, to write to a device that is not opened) is left out. */
function perform(inside: string, name: Operation, a: number, b: number): void {
  const paths = pathsIn(Buffer.from(inside));
  const path = paths[a % Math.max(paths.length, 1)];
  if (!path) return;
  const to = Buffer.concat([(paths[b % paths.length] as Buffer).subarray(0, -1), Buffer.from('z')]);
  const kind = (native.fstatat(-100, path, 0x100)?.mode ?? 0) & 0o170000;
  if ((name === 'write' || name === 'touch') && kind !== 0o100000) return;
  try {
    OPERATIONS[name](path, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!['EEXIST', 'ENOTEMPTY', 'EINVAL', 'EXDEV', 'EPERM', 'EISDIR', 'ENOTDIR', 'ENOENT'].includes(code ?? ''))
      throw error;
  }
}

describe('layerOfUpper', () => {
  let folders: OverlayFolders & { readonly lower: readonly [string] };
  beforeEach(() => {
    folders = { lower: [folder('lower')], upper: folder('upper'), work: folder('work') };
  });

  async function layerOf(work: (inside: string) => void): Promise<Buffer> {
    await changed(folders, work);
    return whole(layerOfUpper(folders));
  }

  /** The root's time changes with every name in it. */
  const entries = async (work: (inside: string) => void) =>
    (await namesOf(await layerOf(work))).filter((name) => name !== './');

  it('has nothing when nothing was done', async () => {
    using merged = await mountOverlay(folders);
    expect(seen(merged)).not.toBe('');
    execFileSync('touch', ['-r', folders.lower[0], folders.upper as string]);
    expect(await namesOf(await whole(layerOfUpper(folders)))).toEqual([]);
  });

  it('says what is gone, and only of what was there', async () => {
    writeFileSync(join(folders.lower[0], 'old'), 'old');
    expect(
      await entries((inside) => {
        rmSync(join(inside, 'old'));
        writeFileSync(join(inside, 'short'), '');
        rmSync(join(inside, 'short'));
      }),
    ).toEqual(['.wh.old']);
  });

  it('marks a directory that was made anew, and only where one is below', async () => {
    mkdirSync(join(folders.lower[0], 'd'));
    writeFileSync(join(folders.lower[0], 'd/old'), '');
    expect(
      await entries((inside) => {
        rmSync(join(inside, 'd'), { recursive: true });
        mkdirSync(join(inside, 'd'));
        writeFileSync(join(inside, 'd/new'), '');
        mkdirSync(join(inside, 'fresh'));
      }),
    ).toEqual(['d/', 'd/.wh..wh..opq', 'd/new', 'fresh/']);
  });

  it('does not take the word of a container for what is gone', async () => {
    mkdirSync(join(folders.lower[0], 'd'));
    writeFileSync(join(folders.lower[0], 'd/old'), '');
    expect(
      await entries((inside) => {
        using folder = open(join(inside, 'd'));
        native.setxattr(folder.fd, 'user.overlay.opaque', Buffer.from('y'));
        writeFileSync(join(inside, 'empty'), '');
        using empty = open(inside);
        using file = new OwnedFd(native.openat2(empty.fd, 'empty', 0, 0, 0));
        native.setxattr(file.fd, 'user.overlay.whiteout', Buffer.from('y'));
      }),
    ).toEqual(['empty']);
  });

  it('leaves out what was changed and changed back, and parents that are as they were', async () => {
    mkdirSync(join(folders.lower[0], 'd'));
    writeFileSync(join(folders.lower[0], 'd/file'), 'same');
    writeFileSync(join(folders.lower[0], 'd/other'), 'same');
    expect(
      await entries((inside) => {
        chmodSync(join(inside, 'd/file'), 0o600);
        chmodSync(join(inside, 'd/file'), 0o644);
        writeFileSync(join(inside, 'd/other'), 'new!');
      }),
    ).toEqual(['d/other']);
  });

  it('keeps names that are one file together', async () => {
    writeFileSync(join(folders.lower[0], 'a'), 'a');
    expect(await entries((inside) => linkSync(join(inside, 'a'), join(inside, 'b')))).toEqual(['a', 'b = a']);
  });

  it('tells that two names are one file no more', async () => {
    writeFileSync(join(folders.lower[0], 'a'), 'a');
    linkSync(join(folders.lower[0], 'a'), join(folders.lower[0], 'b'));
    // An overlay copies up the one that is opened for writing, alone.
    expect(await entries((inside) => writeFileSync(join(inside, 'b'), '', { flag: 'r+' }))).toEqual(['b']);
  });

  it('has no sockets, but what they took the place of is gone', async () => {
    writeFileSync(join(folders.lower[0], 'old'), '');
    const server = createServer();
    try {
      rmSync(join(folders.lower[0], 'new'), { force: true });
      const tar = await layerOf((inside) => rmSync(join(inside, 'old')));
      expect(await namesOf(tar)).toContain('.wh.old');
      rmSync(join(folders.upper as string, 'old'));
      await new Promise<void>((resolve) => server.listen(join(folders.upper as string, 'old'), resolve));
      const names = await namesOf(await whole(layerOfUpper(folders)));
      expect(names.filter((name) => name !== './')).toEqual(['.wh.old']);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('refuses a name that would be taken for a sign', async () => {
    await expect(layerOf((inside) => writeFileSync(join(inside, '.wh.x'), ''))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/^"\.wh\.x" cannot be in a layer/),
    });
  });

  it('lets go of everything when nobody reads on', async () => {
    await changed(folders, (inside) => writeFileSync(join(inside, 'big'), Buffer.alloc(3 << 20, 'x')));
    const fds = () =>
      execFileSync('ls', [`/proc/${process.pid}/fd`])
        .toString()
        .split('\n').length;
    const before = fds();
    for await (const chunk of layerOfUpper(folders)) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await until(() => fds() === before);
    const stop = AbortSignal.abort(new Error('enough'));
    await expect(whole(layerOfUpper(folders, { signal: stop }))).rejects.toThrow('enough');
    await until(() => fds() === before);
  });
});

describe('layerOfTrees', () => {
  it('gives no file a time after SOURCE_DATE_EPOCH', async () => {
    const after = folder('after');
    writeFileSync(join(after, 'old'), '');
    writeFileSync(join(after, 'new'), '');
    utimesSync(join(after, 'old'), 1_000_000_000, 1_000_000_000);
    const times: Record<string, bigint> = {};
    for await (const { name, mtimeNs } of tarEntries(only(await treeLayer(undefined, after, { epoch: EPOCH }))))
      times[name.toString()] = mtimeNs;
    const latest = BigInt(EPOCH) * 1_000_000_000n;
    expect(times).toEqual({ './': latest, new: latest, old: 1_000_000_000n * 1_000_000_000n });
  });

  it('leaves holes out', async () => {
    const after = folder('after');
    writeFileSync(join(after, 'sparse'), 'begin');
    truncateSync(join(after, 'sparse'), 1 << 26);
    const tar = await treeLayer(undefined, after);
    expect(tar.length).toBeLessThan(100_000);
    const empty = folder('empty');
    expect(diffTrees(await applied(tar, empty, join(root, 'layer')), describeTree(after))).toEqual([]);
  });

  it('is not shorter or longer than it says when a file changes meanwhile', async () => {
    const after = folder('after');
    writeFileSync(join(after, 'a'), Buffer.alloc(1 << 20, 'x'));
    using to = open(after);
    const reading = (async () => {
      for await (const chunk of layerOfTrees(undefined, to.fd)) {
        expect(chunk.length).toBeGreaterThan(0);
        truncateSync(join(after, 'a'), 10);
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: 'state' });
  });
});

describe('as others read it', () => {
  /** A tree with a bit of everything. */
  function fill(at: string): void {
    mkdirSync(join(at, 'dir'), { mode: 0o750 });
    writeFileSync(join(at, 'dir/file'), 'content');
    linkSync(join(at, 'dir/file'), join(at, 'dir/link'));
    symlinkSync('file', join(at, 'dir/symlink'));
    writeFileSync(join(at, 'n'.repeat(200)), 'a long name');
    writeFileSync(join(at, 'bytes-\u00e4\n'), 'not ASCII');
    writeFileSync(join(at, 'setuid'), 'x');
    setAttributes(Buffer.from(join(at, 'setuid')), { mode: 0o4711, uid: 5, gid: 6, mtimeNs: 123_456_789n, xattr: 'v' });
    writeFileSync(join(at, 'sparse'), 'begin');
    truncateSync(join(at, 'sparse'), 1 << 22);
    execFileSync('mkfifo', [join(at, 'fifo')]);
  }

  it('GNU tar makes the same tree of it', async () => {
    const [after, out] = [folder('after'), folder('out')];
    fill(after);
    const file = join(root, 'layer.tar');
    writeFileSync(file, await treeLayer(undefined, after));
    execFileSync('tar', ['-C', out, '--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', file]);
    expect(diffTrees(describeTree(out), describeTree(after))).toEqual([]);
  });

  it('umoci makes the same tree of a layer, and of one over it', async () => {
    const [before, after] = [folder('before'), folder('after')];
    fill(before);
    fill(after);
    rmSync(join(after, 'dir/file'));
    rmSync(join(after, 'setuid'));
    mkdirSync(join(after, 'more'));
    writeFileSync(join(after, 'more/file'), 'more');
    const layers = [makeLayer(await treeLayer(undefined, before)), makeLayer(await treeLayer(before, after))];
    const layout = join(root, 'layout');
    writeLayout(layout, [{ name: 'test', image: makeImage(layers) }]);
    execFileSync('umoci', ['unpack', '--image', `${layout}:test`, join(root, 'bundle')], { stdio: 'pipe' });
    const tree = describeTree(join(root, 'bundle/rootfs'));
    expect(diffTrees(tree, describeTree(after))).toEqual([]);
    expect(readFileSync(join(root, 'bundle/rootfs/more/file'), 'utf8')).toBe('more');
  });
});
