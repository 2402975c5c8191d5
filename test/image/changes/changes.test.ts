import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Change, imageChanges } from '../../../runtime/image/changes/index.js';
import { ChangeTree } from '../../../runtime/image/changes/tree.js';
import { loadImage } from '../../../runtime/image/image.js';
import type { TarHeader } from '../../../runtime/image/layer/index.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { makeImage, makeLayer, putImage, type TestImage, type TestLayer } from '../../harness/images.js';

const brief = (changes: readonly Change[]) =>
  changes.map(({ kind, path, bytes, below }) => `${kind} ${path || '/'} ${bytes}${below ? ` +${below}` : ''}`);

async function changesOf(image: TestImage) {
  const content = { stream: (digest: string) => Readable.from([image.blobs.get(digest as never) as Buffer]) };
  return imageChanges(content, image);
}

const of = (...layers: TestLayer[]) => changesOf(makeImage(layers));
const x = (size: number) => Buffer.alloc(size, 'x');

describe('a layer that says one thing again and again', () => {
  const header = (type: TarHeader['type']): TarHeader => ({
    type,
    name: Buffer.alloc(0),
    linkName: Buffer.alloc(0),
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: type === 'file' ? 1 : 0,
    mtimeNs: 0n,
    major: 0,
    minor: 0,
    xattrs: [],
  });
  const MANY = 100_000;

  it.each([
    ['makes a folder opaque', (tree: ChangeTree) => tree.clear('a'), MANY, 0],
    ['removes a folder', (tree: ChangeTree) => tree.remove('a'), 1, MANY],
    ['puts a file in the place of a folder', (tree: ChangeTree) => tree.add('a', header('file')), 1, 0],
  ])('%s, and what is in it is looked through once', (_, again, changes, below) => {
    const tree = new ChangeTree();
    tree.begin();
    tree.add('a', header('directory'));
    for (let i = 0; i < MANY; i++) tree.add(`a/${i}`, header('file'));
    tree.begin();
    for (let i = 0; i < MANY; i++) again(tree);
    expect(tree.layers[0]?.wasted).toBe(MANY);
    expect(tree.layers[1]?.changes).toHaveLength(changes);
    expect(tree.layers[1]?.changes[0]?.below ?? 0).toBe(below);
    // What comes into the folder afterwards is of this layer, and is not gone.
    tree.add('a', header('directory'));
    tree.add('a/new', header('file'));
    tree.clear('a');
    tree.remove('a');
    expect(tree.layers[1]?.changes.at(-1)).toMatchObject({ path: 'a/new', kind: 'added' });
    tree.begin();
    tree.remove('a');
    expect(tree.layers[2]?.changes).toEqual([{ path: 'a', kind: 'removed', type: 'directory', bytes: 1, below: 1 }]);
  });
});

describe('imageChanges', () => {
  it('tells what a layer added, changed and removed', async () => {
    const { layers } = await of(
      makeLayer([
        { path: 'etc/' },
        { path: 'etc/a', content: x(10) },
        { path: 'etc/b', content: x(20) },
        { path: 'var/' },
        { path: 'var/c', content: x(30) },
        { path: 'var/d', content: x(40) },
      ]),
      makeLayer(
        [{ path: 'etc/' }, { path: 'etc/a', content: x(1) }, { path: 'etc/.wh.b' }, { path: '.wh.var' }],
        'zstd',
      ),
      makeLayer([{ path: 'etc/' }, { path: 'etc/.wh..wh..opq' }, { path: 'etc/new', content: x(2) }], 'none'),
    );
    expect(layers.map(({ changes }) => brief(changes))).toEqual([
      ['added etc 0', 'added etc/a 10', 'added etc/b 20', 'added var 0', 'added var/c 30', 'added var/d 40'],
      ['changed etc/a 1', 'removed etc/b 20', 'removed var 70 +2'],
      ['removed etc/a 1', 'added etc/new 2'],
    ]);
    expect(layers.map(({ bytes, wasted }) => [bytes, wasted])).toEqual([
      [100, 100],
      [1, 1],
      [2, 0],
    ]);
    expect(layers.map(({ whiteouts, opaque }) => [whiteouts, opaque])).toEqual([
      [0, 0],
      [2, 0],
      [0, 1],
    ]);
  });

  it('counts each byte that a later layer hides once', async () => {
    const image = await of(
      makeLayer([
        { path: 'a', content: x(60) },
        { path: 'keep', content: x(40) },
      ]),
      makeLayer([{ path: 'a', content: x(50) }]),
      makeLayer([{ path: '.wh.a' }]),
    );
    expect(image).toMatchObject({ bytes: 150, wasted: 110, efficiency: 40 / 150 });
  });

  it('keeps the bytes of a file while one of its names is left', async () => {
    const file = makeLayer([
      { path: 'a', content: x(60) },
      { path: 'b', type: 'hardlink', target: 'a' },
    ]);
    expect((await of(file, makeLayer([{ path: '.wh.a' }]))).wasted).toBe(0);
    expect((await of(file, makeLayer([{ path: '.wh.a' }, { path: '.wh.b' }]))).wasted).toBe(60);
  });

  it('names a directory only where it is not as it was', async () => {
    const { layers } = await of(
      makeLayer([{ path: 'd/', mode: 0o755 }]),
      makeLayer([{ path: 'd/', mode: 0o755 }]),
      makeLayer([{ path: 'd/', mode: 0o700 }]),
    );
    expect(layers.map(({ changes }) => brief(changes))).toEqual([['added d 0'], [], ['changed d 0']]);
  });

  it('takes the root for there from the beginning', async () => {
    const { layers } = await of(makeLayer([{ path: 'a' }]), makeLayer([{ path: './', mode: 0o700 }]));
    expect(layers.map(({ changes }) => brief(changes))).toEqual([['added a 0'], ['changed / 0']]);
  });

  it('does not care in which order a layer says that something is gone', async () => {
    const { layers } = await of(
      makeLayer([{ path: 'd/old', content: x(5) }]),
      makeLayer([{ path: 'd/new', content: x(6) }, { path: 'd/.wh..wh..opq' }]),
    );
    expect(brief(layers[1]?.changes ?? [])).toEqual(['added d/new 6', 'removed d/old 5']);
    expect(layers.map(({ wasted }) => wasted)).toEqual([5, 0]);
  });

  it('knows that a file in the place of a directory hides what was in it', async () => {
    const image = await of(makeLayer([{ path: 'd/a', content: x(5) }]), makeLayer([{ path: 'd', content: x(6) }]));
    expect(image).toMatchObject({ bytes: 11, wasted: 5 });
  });

  it('wastes nothing where there is nothing', async () => {
    expect(await of(makeLayer([]))).toMatchObject({ bytes: 0, wasted: 0, efficiency: 1 });
  });

  it('puts the history beside its layers', async () => {
    const layers = [makeLayer([{ path: 'a' }]), makeLayer([{ path: 'b' }])];
    const history = [{ created_by: 'ADD a' }, { created_by: 'ENV x=y', empty_layer: true }, { created_by: 'RUN b' }];
    const image = await changesOf(makeImage(layers, { more: { history } }));
    expect(image.layers.map((layer) => layer.history?.created_by)).toEqual(['ADD a', 'RUN b']);
  });

  it.each([
    ['no archive', makeLayer(Buffer.alloc(1024, 'no')), /^layer [0-9a-f]{12}: the layer is no tar archive/],
    ['a way out', makeLayer([{ path: 'a/../../b', content: '' }]), /^layer [0-9a-f]{12}: .*"\.\." in its name/],
  ])('refuses %s', async (_, layer, message) => {
    await expect(of(layer)).rejects.toMatchObject({ code: 'protocol', message: expect.stringMatching(message) });
  });
});

describe('with a store', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tare-changes-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('reads the blobs, and unpacks nothing', async () => {
    using store = await ImageStore.open(root);
    await putImage(store, makeImage([makeLayer([{ path: 'a', content: x(3) }])]), 'some:1');
    expect(await imageChanges(store.content, loadImage(store, 'some:1'))).toMatchObject({ bytes: 3 });
    expect(store.database.all('SELECT * FROM snapshots')).toEqual([]);
  });
});
