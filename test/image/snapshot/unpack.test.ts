import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadImage } from '../../../runtime/image/image.js';
import { parseReference } from '../../../runtime/image/reference.js';
import { chainIdOf, mountOverlay, openSnapshots } from '../../../runtime/image/snapshot/index.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import type { Progress } from '../../../runtime/image/types.js';
import { type Digest, digestOf, splitDigest } from '../../../runtime/oci/image/index.js';
import { makeImage, makeLayer, putImage, type TestImage } from '../../harness/images.js';
import { describeTree } from '../../harness/tree.js';
import { buildProgram, endOf, type Program } from './program.js';

let root: string;
let store: ImageStore;

beforeEach(async (context) => {
  if (process.geteuid?.() !== 0) context.skip('only root makes devices and mounts here');
  root = mkdtempSync(join(tmpdir(), 'tare-snapshots-'));
  store = await ImageStore.open(root);
});
afterEach(() => {
  store?.close();
  rmSync(root, { recursive: true, force: true });
});

const bottom = makeLayer([
  { path: './', mode: 0o751, uid: 7 },
  { path: 'etc/', mode: 0o700, uid: 3, mtime: 1_000_000_000 },
  { path: 'etc/one', content: 'one' },
  { path: 'etc/two', content: 'two' },
  { path: 'var/' },
  { path: 'var/old', content: 'old' },
]);
const middle = makeLayer([{ path: 'etc/.wh.two' }, { path: 'etc/three', content: 'three' }], 'zstd');
const top = makeLayer(
  [
    { path: 'usr/one', type: 'hardlink', target: 'etc/one' },
    { path: 'var/' },
    { path: 'var/.wh..wh..opq' },
    { path: 'var/new', content: 'new' },
  ],
  'none',
);
const image = makeImage([bottom, middle, top]);

/** Nothing is there but these snapshots. */
function leftIn(folder: string): string[] {
  return readdirSync(join(root, folder)).sort();
}

async function unpack(from: TestImage, name = 'test:1', progress?: Progress[]): Promise<Digest> {
  await putImage(store, from, name);
  using lease = store.lease();
  const chainId = await openSnapshots(store).unpack(loadImage(store, name), lease, {
    onProgress: (one) => progress?.push(one),
  });
  return chainId as Digest;
}

describe('unpack', () => {
  it('makes a folder of each layer, which together are the image', async () => {
    const snapshots = openSnapshots(store);
    const chainId = await unpack(image);
    const one = bottom.diffId;
    const two = digestOf(`${one} ${middle.diffId}`);
    expect(chainId).toBe(digestOf(`${two} ${top.diffId}`));
    const lower = snapshots.lower(chainId);
    expect(lower).toEqual([snapshots.lower(chainId)[0], ...snapshots.lower(two)]);
    expect(lower.length).toBe(3);
    using merged = await mountOverlay({ lower });
    const tree = describeTree(`/proc/${process.pid}/fd/${merged.fd}/.`);
    expect([...tree.keys()]).toEqual(['.', ...['etc', 'etc/one', 'etc/three', 'usr', 'usr/one', 'var', 'var/new']]);
    // What a layer does not name is as it is below.
    expect(tree.get('.')).toMatchObject({ mode: 0o751, uid: 7 });
    expect(tree.get('etc')).toMatchObject({ mode: 0o700, uid: 3, mtimeNs: 1_000_000_000_000_000_000n });
    expect(readFileSync(`/proc/self/fd/${merged.fd}/usr/one`, 'utf8')).toBe('one');
    expect(snapshots.usage(chainId)).toBeGreaterThan(0);
  });

  it('does each layer once, also of images that share some', async () => {
    const snapshots = openSnapshots(store);
    const chainId = await unpack(image);
    const before = leftIn('snapshots');
    const times = snapshots.lower(chainId).map((path) => statSync(path).ctimeMs);
    const progress: Progress[] = [];
    expect(await unpack(image, 'test:1', progress)).toBe(chainId);
    expect(progress.map(({ action }) => action)).toEqual(['exists', 'exists', 'exists']);
    expect(snapshots.lower(chainId).map((path) => statSync(path).ctimeMs)).toEqual(times);
    const other = makeLayer([{ path: 'other', content: 'x' }]);
    const second = await unpack(makeImage([bottom, middle, other]), 'test:2');
    expect(snapshots.lower(second).slice(1)).toEqual(snapshots.lower(chainId).slice(1));
    expect(leftIn('snapshots').length).toBe(before.length + 1);
    expect(leftIn('ingest')).toEqual([]);
  });

  it('tells how far it is', async () => {
    const progress: Progress[] = [];
    await unpack(
      makeImage([makeLayer([{ path: 'big', content: Buffer.alloc(3_000_000, 'x') }], 'none')]),
      'big',
      progress,
    );
    expect(progress.at(-1)).toMatchObject({ action: 'done' });
    const unpacking = progress.filter(({ action }) => action === 'unpacking');
    expect(unpacking.length).toBeGreaterThan(2);
    for (const { current = 0, total = 0 } of unpacking) expect(current).toBeLessThanOrEqual(total);
  });

  it('stops where it is told to, and leaves nothing', async () => {
    await putImage(store, image, 'test:1');
    using lease = store.lease();
    const stop = new AbortController();
    const reason = new Error('enough');
    const unpacking = openSnapshots(store).unpack(loadImage(store, 'test:1'), lease, {
      signal: stop.signal,
      onProgress: () => stop.abort(reason),
    });
    await expect(unpacking).rejects.toBe(reason);
    expect(leftIn('ingest')).toEqual([]);
  });
});

it('an image without layers has no folder, and an empty tree', async () => {
  await putImage(store, makeImage([]), 'nothing');
  using lease = store.lease();
  const snapshots = openSnapshots(store);
  const chainId = await snapshots.unpack(loadImage(store, 'nothing'), lease);
  expect([chainId, snapshots.lower(chainId), leftIn('snapshots')]).toEqual([undefined, [], []]);
  using merged = await mountOverlay({ lower: [] });
  expect(readdirSync(`/proc/self/fd/${merged.fd}`)).toEqual([]);
});

it('what was unpacked in a user namespace is not read outside of it, and what does not say where is', async () => {
  const snapshots = openSnapshots(store);
  const chainId = await unpack(image);
  const facts = join(snapshots.lower(chainId)[1] as string, '../snapshot.json');
  const said = JSON.parse(readFileSync(facts, 'utf8'));
  expect(said.overlay).toBe('trusted');
  writeFileSync(facts, JSON.stringify({ ...said, overlay: 'user' }));
  expect(() => snapshots.lower(chainId)).toThrow(
    / was unpacked in a user namespace, and cannot be read outside of it: have two stores, by --root/,
  );
  writeFileSync(facts, JSON.stringify({ ...said, overlay: undefined }));
  expect(snapshots.lower(chainId)).toHaveLength(3);
});

describe('a layer that is refused leaves nothing', () => {
  const cases: [string, () => TestImage, RegExp][] = [
    [
      'the diff id is another',
      () => {
        const wrong = { ...middle, diffId: digestOf('another') };
        return makeImage([bottom, wrong]);
      },
      /^the layer [0-9a-f]{12} is not what the image’s config says: its diff id is sha256:[0-9a-f]{64}, not sha256:/,
    ],
    [
      'an entry leads out of it',
      () =>
        makeImage([
          bottom,
          makeLayer([
            { path: 'a', content: 'a' },
            { path: '../../escaped', content: 'x' },
          ]),
        ]),
      /"\.\.\/\.\.\/escaped" has "\.\." in its name/,
    ],
    [
      'it is no archive',
      () => makeImage([bottom, makeLayer(Buffer.alloc(2048, 'no tar'))]),
      /the layer is no tar archive that can be read/,
    ],
    [
      'a hard link leads to nothing',
      () => makeImage([bottom, makeLayer([{ path: 'a', type: 'hardlink', target: 'nowhere' }])]),
      /"a" is a hard link/,
    ],
  ];
  it.each(cases)('%s', async (_, make, message) => {
    const made = make();
    await expect(unpack(made)).rejects.toMatchObject({ code: 'protocol', message: expect.stringMatching(message) });
    expect(leftIn('ingest')).toEqual([]);
    const snapshots = openSnapshots(store);
    expect(snapshots.has(chainIdOf(bottom.diffId, made.config.rootfs.diff_ids[1] as Digest))).toBe(false);
    expect(existsSync(join(root, 'escaped'))).toBe(false);
    // What is below it is whole, or not there.
    expect(leftIn('snapshots').length).toBe(snapshots.has(bottom.diffId) ? 1 : 0);
  });

  it('its diff id is of another kind', async () => {
    const other = makeImage([{ ...bottom, diffId: `sha512:${'a'.repeat(128)}` as Digest }]);
    await expect(unpack(other)).rejects.toMatchObject({ code: 'unsupported' });
    expect([leftIn('ingest'), leftIn('snapshots')]).toEqual([[], []]);
  });

  it('the blob is damaged on the disk', async () => {
    await putImage(store, image, 'test:1');
    const { hex } = splitDigest(bottom.descriptor.digest);
    truncateSync(join(root, 'blobs/sha256', hex), bottom.blob.length - 40);
    using lease = store.lease();
    await expect(openSnapshots(store).unpack(loadImage(store, 'test:1'), lease)).rejects.toMatchObject({
      code: 'protocol',
    });
    expect(leftIn('ingest')).toEqual([]);
    expect(leftIn('snapshots')).toEqual([]);
  });
});

it('a full disk in the middle leaves nothing, and says so', async () => {
  const small = join(root, 'small');
  mkdirSync(small);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m,mode=700', 'tare-test', small]);
  try {
    using tight = await ImageStore.open(small);
    // A small blob that becomes large: not of one byte, which would be a hole.
    const content = Buffer.concat(Array.from({ length: 40 }, (_, i) => Buffer.alloc(512 * 1024, `abc${i}`)));
    await putImage(tight, makeImage([bottom, makeLayer([{ path: 'large', content }])]), 'test:1');
    using lease = tight.lease();
    await expect(openSnapshots(tight).unpack(loadImage(tight, 'test:1'), lease)).rejects.toMatchObject({
      code: 'no-space',
    });
    expect(readdirSync(join(small, 'ingest'))).toEqual([]);
    expect(readdirSync(join(small, 'snapshots')).length).toBeLessThanOrEqual(1);
  } finally {
    execFileSync('umount', [small]);
  }
});

describe('prepare', () => {
  it('gives an empty folder over the layers, whose root is as theirs', async () => {
    const snapshots = openSnapshots(store);
    const chainId = await unpack(image);
    const folder = join(root, 'container');
    mkdirSync(folder);
    const folders = snapshots.prepare(chainId, folder);
    expect(folders.lower).toEqual(snapshots.lower(chainId));
    expect(readdirSync(folders.upper as string)).toEqual([]);
    expect(statSync(folders.upper as string)).toMatchObject({ uid: 7, mode: 0o40751 });
    using merged = await mountOverlay(folders);
    writeFileSync(`/proc/self/fd/${merged.fd}/etc/one`, 'changed');
    expect(readFileSync(join(folders.upper as string, 'etc/one'), 'utf8')).toBe('changed');
    expect(readFileSync(join(snapshots.lower(bottom.diffId)[0] as string, 'etc/one'), 'utf8')).toBe('one');
  });

  it('also over nothing', async () => {
    const folder = join(root, 'container');
    mkdirSync(folder);
    const folders = openSnapshots(store).prepare(undefined, folder);
    using merged = await mountOverlay(folders);
    writeFileSync(`/proc/self/fd/${merged.fd}/new`, 'new');
    expect(readdirSync(folders.upper as string)).toEqual(['new']);
  });

  it('says which layer is missing', () => {
    expect(() => openSnapshots(store).lower(bottom.diffId)).toThrow(/^the layer [0-9a-f]{12} is not unpacked$/);
  });
});

describe('adopt', () => {
  it('makes an upper folder the snapshot of a layer, and drops it where there is one', async () => {
    const snapshots = openSnapshots(store);
    const parent = await unpack(image);
    const diffId = digestOf('what it would be packed');
    using lease = store.lease();
    for (const text of ['first', 'second']) {
      const upper = join(root, text);
      mkdirSync(upper);
      writeFileSync(join(upper, 'file'), text);
      const chainId = await snapshots.adopt(upper, parent, diffId, lease);
      expect(chainId).toBe(chainIdOf(parent, diffId));
      expect(existsSync(upper)).toBe(false);
      const [own, ...below] = snapshots.lower(chainId);
      expect(below).toEqual(snapshots.lower(parent));
      expect(readFileSync(join(own as string, 'file'), 'utf8')).toBe('first');
    }
    expect(leftIn('ingest')).toEqual([]);
  });

  it('refuses a parent that is not there', async () => {
    using lease = store.lease();
    mkdirSync(join(root, 'upper'));
    await expect(
      openSnapshots(store).adopt(join(root, 'upper'), bottom.diffId, middle.diffId, lease),
    ).rejects.toMatchObject({ code: 'not-found' });
  });
});

it('finds its snapshots again when the database is lost', async () => {
  const chainId = await unpack(image);
  const lower = openSnapshots(store).lower(chainId);
  store.close();
  for (const name of readdirSync(root)) if (name.startsWith('tare.db')) rmSync(join(root, name));
  store = await ImageStore.open(root);
  expect(openSnapshots(store).lower(chainId)).toEqual(lower);
});

describe('several processes', () => {
  let program: Program;
  beforeEach(async () => {
    program = await buildProgram('test/image/snapshot/unpacker.ts');
  });
  afterEach(() => program?.[Symbol.dispose]());

  it('do each layer once between them', async () => {
    const many = makeImage(
      Array.from({ length: 6 }, (_, i) =>
        makeLayer(Array.from({ length: 200 }, (_, j) => ({ path: `d${i}/f${j}`, content: `${i} ${j}` }))),
      ),
    );
    await putImage(store, many, 'many:1');
    const ends = await Promise.all([1, 2, 3].map(() => endOf(program.start(root, 'many:1'))));
    for (const { code, output } of ends)
      expect([code, output]).toEqual([0, expect.stringContaining('unpacked sha256:')]);
    // Each layer was made by one of them, and found by the others.
    const done = ends.flatMap(({ output }) => output.split('\n').filter((line) => line.endsWith(' done')));
    const exists = ends.flatMap(({ output }) => output.split('\n').filter((line) => line.endsWith(' exists')));
    expect([new Set(done).size, done.length, exists.length]).toEqual([6, 6, 12]);
    expect(leftIn('snapshots').length).toBe(6);
    expect(leftIn('ingest')).toEqual([]);
  });
});

it('does the same in a user namespace, where an overlay has other attributes', async () => {
  using program = await buildProgram('test/image/snapshot/changer.ts');
  const plain = makeImage([
    makeLayer([
      { path: 'gone', content: '' },
      { path: 'anew/old', content: '' },
    ]),
    makeLayer([{ path: 'anew/older', content: '' }, { path: 'anew/.wh..wh..opq' }]),
  ]);
  await putImage(store, plain, 'plain:1');
  const folder = join(root, 'container');
  for (const how of ['startInUserNamespace', 'start'] as const) {
    mkdirSync(folder);
    const { code, output } = await endOf(program[how](root, 'plain:1', folder));
    expect([how, code, output.split('\n')]).toEqual([
      how,
      0,
      ['./', 'anew/', 'anew/.wh..wh..opq', 'anew/new', '.wh.gone', ''],
    ]);
    rmSync(folder, { recursive: true });
    // The other's attributes mean nothing to this one.
    await store.names.delete(parseReference('plain:1'));
    await store.collectGarbage({ partials: true });
    await putImage(store, plain, 'plain:1');
  }
});
