import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadImage } from '../../../runtime/image/image.js';
import { applyBlob } from '../../../runtime/image/snapshot/apply-blob.js';
import { chainIdsOf, openSnapshots } from '../../../runtime/image/snapshot/index.js';
import { LayerThreads } from '../../../runtime/image/snapshot/layer-threads.js';
import { packError, unpackError } from '../../../runtime/image/snapshot/packed-error.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { native } from '../../../runtime/kernel/addon.js';
import { O_DIRECTORY, O_PATH } from '../../../runtime/kernel/constants/open.js';
import { TareError } from '../../../runtime/kernel/error.js';
import { OwnedFd } from '../../../runtime/kernel/fd.js';
import { makeImage, makeLayer, putImage, type TestLayer } from '../../harness/images.js';
import { describeTree } from '../../harness/tree.js';

let root: string;

beforeEach((context) => {
  if (process.geteuid?.() !== 0) context.skip('only root gives files to others');
  root = mkdtempSync(join(tmpdir(), 'tare-layer-threads-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const small = makeLayer([
  { path: './', mode: 0o751 },
  { path: 'etc/', mode: 0o700, uid: 3, mtime: 1_000_000_000 },
  { path: 'etc/one', content: 'one', uid: 5 },
]);

/** Worth a thread. */
function large(...names: readonly string[]): TestLayer {
  return makeLayer(
    names.map((path) => ({ path, content: randomBytes(9 << 20) })),
    'none',
  );
}

/** The outcome of a layer in a folder of its own, by this thread or another. */
async function outcome(
  layer: { readonly blob: Buffer },
  apply: typeof applyBlob,
  { into = 'fs', ...options }: Parameters<typeof applyBlob>[1] & { readonly into?: string } = {},
) {
  const [path, folder] = [join(root, 'blob'), mkdtempSync(join(root, `${into}-`))];
  writeFileSync(path, layer.blob);
  using target = new OwnedFd(native.open(folder, O_PATH | O_DIRECTORY));
  const applied = await apply({ path, target: target.fd, overlay: 'trusted' }, options).catch((error: unknown) => {
    const { code, message, syscall, cause } = error as TareError;
    return { code, message, syscall, cause: (cause as Error | undefined)?.message };
  });
  return { applied, tree: [...describeTree(folder)].map(([name, { mode, uid, size }]) => ({ name, mode, uid, size })) };
}

describe('a layer in a thread of its own', () => {
  const cut = (layer: TestLayer) => ({ blob: layer.blob.subarray(0, layer.blob.length - 40) });
  it.each<[string, { readonly blob: Buffer }]>([
    ['is the same as in this one', small],
    ['fails in the same way when it is cut off', cut(small)],
    ['when it is hostile', makeLayer([{ path: 'folder/../../outside', content: 'x' }])],
    ['when its name is too long', makeLayer([{ path: 'x'.repeat(300), content: 'x' }])],
    ['when it is a hard link to a folder', makeLayer([{ path: 'd/' }, { path: 'l', type: 'hardlink', target: 'd' }])],
  ])('%s', async (_, layer) => {
    using threads = new LayerThreads();
    const expected = await outcome(layer, applyBlob);
    expect(await outcome(layer, threads.apply.bind(threads))).toEqual(expected);
    // The thread goes on with the next.
    expect(await outcome(layer, threads.apply.bind(threads))).toEqual(expected);
  });

  it('fails in the same way when there is no blob', async () => {
    using threads = new LayerThreads();
    using target = new OwnedFd(native.open(root, O_PATH | O_DIRECTORY));
    const request = { path: join(root, 'nothing'), target: target.fd, overlay: 'trusted' } as const;
    await expect(threads.apply(request, {})).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('stops where it is told to, and has let go of the folder then', async () => {
    using threads = new LayerThreads();
    const stop = new AbortController();
    const path = join(root, 'blob');
    writeFileSync(path, large('a', 'b').blob);
    const folder = join(root, 'fs');
    mkdirSync(folder);
    using target = new OwnedFd(native.open(folder, O_PATH | O_DIRECTORY));
    const reason = new Error('enough');
    const request = { path, target: target.fd, overlay: 'trusted' } as const;
    const options = { signal: stop.signal, onBytes: () => stop.abort(reason) };
    await expect(threads.apply(request, options)).rejects.toBe(reason);
    const refuse = () => {
      throw new TareError('usage', 'not so many');
    };
    rmSync(folder, { recursive: true });
    await expect(threads.apply(request, { onBytes: refuse })).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('unpack', () => {
  it('makes of several large layers and small ones what the image is', async () => {
    using store = await ImageStore.open(join(root, 'store'));
    const [one, two] = [large('big/one', 'etc/two'), large('big/one')];
    const layers = [small, one, two];
    await putImage(store, makeImage(layers), 'test:1');
    using lease = store.lease();
    const snapshots = openSnapshots(store);
    const chainId = await snapshots.unpack(loadImage(store, 'test:1'), lease);
    const folders = [...snapshots.lower(chainId)].reverse();
    expect(folders.map((folder) => [...describeTree(folder).keys()])).toEqual([
      ['.', 'etc', 'etc/one'],
      ['.', 'big', 'big/one', 'etc', 'etc/two'],
      ['.', 'big', 'big/one'],
    ]);
    for (const [folder, layer] of [[folders[1], one] as const, [folders[2], two] as const])
      expect(layer.tar.includes(readFileSync(join(folder as string, 'big/one')))).toBe(true);
    // Settled: what it does not name is as it is below.
    expect(describeTree(folders[1] as string).get('etc')).toMatchObject({ mode: 0o700, uid: 3 });
    const sizes = folders.map((folder) =>
      Number(execFileSync('du', ['-sB1', folder], { encoding: 'utf8' }).split('\t')[0]),
    );
    expect(chainIdsOf(layers.map(({ diffId }) => diffId)).map((id) => snapshots.usage(id))).toEqual(sizes);
  });

  it('leaves nothing when one of several large layers is not what was said', async () => {
    using store = await ImageStore.open(join(root, 'store'));
    const [one, two] = [large('one'), large('two')];
    await putImage(store, makeImage([one, { ...two, diffId: small.diffId }]), 'test:1');
    using lease = store.lease();
    await expect(openSnapshots(store).unpack(loadImage(store, 'test:1'), lease)).rejects.toMatchObject({
      code: 'protocol',
      message: expect.stringContaining('is not what the image’s config says'),
    });
    expect(readdirSync(join(root, 'store/ingest'))).toEqual([]);
  });

  it('a full disk while two large ones are written leaves nothing, and says so', async () => {
    const full = join(root, 'full');
    mkdirSync(full);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=50m,mode=700', 'tare-test', full]);
    try {
      using store = await ImageStore.open(full);
      await putImage(store, makeImage([large('one'), large('two', 'three')]), 'test:1');
      using lease = store.lease();
      await expect(openSnapshots(store).unpack(loadImage(store, 'test:1'), lease)).rejects.toMatchObject({
        code: 'no-space',
      });
      expect(readdirSync(join(full, 'ingest'))).toEqual([]);
      expect(openFiles().filter((path) => path.startsWith(join(full, 'blobs')))).toEqual([]);
    } finally {
      execFileSync('umount', [full]);
    }
  });
});

/** Of this process, all threads. One may be closed while we look. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
}

describe('an error that goes from one thread to another', () => {
  it('keeps what programs and people read of it', () => {
    const cause = Object.assign(new Error('no such file'), { code: 'ENOENT', syscall: 'open' });
    const syscall = { name: 'openat2', args: '3, "x"', errno: 'ENOSPC' };
    const error = new TareError('no-space', 'full', { cause, syscall, path: '/x' });
    const copy = unpackError(structuredClone(packError(error))) as TareError;
    expect(copy).toBeInstanceOf(TareError);
    expect({ ...copy, message: copy.message }).toEqual({ ...error, message: 'full' });
    expect(copy.cause).toMatchObject({ message: 'no such file', code: 'ENOENT' });
    expect(copy.cause).not.toBeInstanceOf(TareError);
    expect(unpackError(packError('a text')).message).toBe('a text');
  });

  it('has an end', () => {
    const error = new Error('loop');
    error.cause = error;
    let depth = 0;
    for (let at: unknown = unpackError(packError(error)); at instanceof Error; at = at.cause) depth++;
    expect(depth).toBe(5);
  });
});
