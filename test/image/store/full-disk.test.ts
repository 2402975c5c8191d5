/** A full disk: a clear error, nothing half-made, and a way out. The disk is a small tmpfs. tmpfs(5) */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listImages } from '../../../runtime/image/list.js';
import { prune } from '../../../runtime/image/prune.js';
import { parseReference } from '../../../runtime/image/reference.js';
import { removeImage } from '../../../runtime/image/remove.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { RESERVE_BYTES } from '../../../runtime/image/store/reserve.js';
import { digestOf } from '../../../runtime/oci/image/index.js';
import { makeImage, makeLayer, putImage, type TestLayer } from '../../harness/images.js';

let disk: string;

beforeEach((context) => {
  disk = mkdtempSync(join(tmpdir(), 'tare-full-'));
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'tare-test', disk], {
    encoding: 'utf8',
  });
  if (status !== 0) context.skip(`a tmpfs cannot be mounted: ${stderr}`);
});

afterEach(() => {
  spawnSync('umount', ['-l', disk]);
  rmdirSync(disk);
});

const noSpace = expect.objectContaining({ code: 'no-space', message: expect.stringMatching(/no space left/) });
const data = randomBytes(8 << 20);

function fill(): void {
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, 'filler'), Buffer.alloc(bavail * bsize));
}

describe('a full disk', () => {
  it('ends a download; nothing of it is left, and there is room again', async () => {
    using store = await ImageStore.open(join(disk, 'images'));
    using lease = store.lease();
    const before = statfsSync(disk).bavail;
    const attempt = async () => {
      await using ingest = await store.content.ingest({ digest: digestOf(data), size: data.length }, lease);
      for (let at = 0; at < data.length; at += 100_000) await ingest?.write(data.subarray(at, at + 100_000));
      await ingest?.commit();
    };
    await expect(attempt()).rejects.toThrow(noSpace);
    expect(readdirSync(join(store.root, 'ingest'))).toEqual([]);
    expect(statfsSync(disk).bavail).toBeGreaterThan(before - 100);
    const { digest } = await store.content.put(Buffer.from('small'), 'text/plain', lease);
    expect(store.content.read(digest).toString()).toBe('small');
    expect((await store.verify()).problems).toEqual([]);
  });

  it('lets no name be given, and leaves those there are', async () => {
    using store = await ImageStore.open(join(disk, 'images'));
    const image = makeImage([makeLayer([{ path: 'file', content: 'x' }])]);
    await putImage(store, image, 'one');
    fill();
    await expect(store.names.set(parseReference('two'), image.manifestDescriptor)).rejects.toThrow(noSpace);
    expect(store.names.list()).toHaveLength(1);
    expect((await store.verify()).problems).toEqual([]);
    expect(readdirSync(store.root).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('cannot be opened as a store, and is none afterwards', async () => {
    fill();
    await expect(ImageStore.open(join(disk, 'images'))).rejects.toThrow(noSpace);
    rmSync(join(disk, 'filler'));
    using store = await ImageStore.open(join(disk, 'images'));
    expect((await store.verify()).problems).toEqual([]);
  });

  it('fails whatever wants a lease, and leaves none', async () => {
    using store = await ImageStore.open(join(disk, 'images'));
    fill();
    const attempt = async () => {
      using lease = store.lease();
      // Until the pages that SQLite has left are used up.
      for (let i = 0; i < 100_000; i++) lease.addBlob(digestOf(`${i}`));
    };
    await expect(attempt()).rejects.toThrow(noSpace);
    expect(readdirSync(join(store.root, 'leases'))).toEqual([]);
    rmSync(join(disk, 'filler'));
    await store.collectGarbage();
    expect(store.database.all('SELECT * FROM leases')).toEqual([]);
  });

  it('without a byte left is opened all the same, and makes room', async () => {
    const root = join(disk, 'images');
    const [layer, other] = ['a', 'b'].map(() => makeLayer(randomBytes(600_000), 'none')) as [TestLayer, TestLayer];
    {
      using store = await ImageStore.open(root);
      await putImage(store, makeImage([layer]), 'one');
      await putImage(store, makeImage([other]), 'two');
    }
    fill();
    {
      using store = await ImageStore.open(root);
      expect(listImages(store)).toHaveLength(2);
    }
    {
      using store = await ImageStore.open(root);
      await removeImage(store, 'one');
      expect((await store.collectGarbage()).bytes).toBeGreaterThan(600_000);
    }
    using store = await ImageStore.open(root);
    // It was opened while there was room.
    rmSync(join(disk, 'filler'));
    fill();
    await store.makingRoom(() => removeImage(store, 'two'));
    expect((await store.makingRoom(() => store.collectGarbage())).bytes).toBeGreaterThan(600_000);
    expect((await store.verify()).problems).toEqual([]);
    store.close();
    expect(statSync(join(root, 'reserve')).size).toBe(RESERVE_BYTES);
  });

  it('has room again once an image is removed and the store is pruned', async () => {
    using store = await ImageStore.open(join(disk, 'images'));
    await putImage(store, makeImage([makeLayer(randomBytes(2 << 20), 'none')]), 'large');
    // But for what it takes to write down that a name is gone.
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, 'filler'), Buffer.alloc(Math.max(bavail * bsize - (64 << 10), 0)));
    await removeImage(store, 'large');
    const { bytes } = await prune(store, { containers: join(disk, 'containers') });
    expect(bytes).toBeGreaterThan(2 << 20);
    expect(statfsSync(disk).bavail * bsize).toBeGreaterThan(2 << 20);
  });
});
