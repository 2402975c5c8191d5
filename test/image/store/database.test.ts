/** The database is an index: lost or damaged it is made again, while others use the store. */
import {
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
import { StoreDatabase } from '../../../runtime/image/store/database.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { digestOf } from '../../../runtime/oci/image/index.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tare-database-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

const path = () => join(root, 'tare.db');
const [chainId, other] = [digestOf('chain'), digestOf('other')];

/** A store with a snapshot, a container's lease, and something in the cache. */
async function filled(): Promise<void> {
  using store = await ImageStore.open(root);
  await using scratch = await store.scratch();
  mkdirSync(join(scratch.path, 'fs'));
  store.layers.publish(scratch.path, { chainId, diffId: digestOf('diff'), size: 42 });
  mkdirSync(join(root, 'container'));
  store.lease(join(root, 'container')).addSnapshot(chainId);
  store.cache.set('key', 1, {});
}

describe('what is made again', () => {
  const damages: [string, () => void][] = [
    [
      'gone',
      () =>
        readdirSync(root)
          .filter((name) => name.startsWith('tare.db'))
          .forEach((name) => void rmSync(join(root, name))),
    ],
    ['empty', () => truncateSync(path())],
    ['something else', () => writeFileSync(path(), 'not a database at all '.repeat(1000))],
    ['cut', () => truncateSync(path(), Math.floor(statSync(path()).size / 8192) * 4096)],
    [
      'overwritten',
      () =>
        writeFileSync(
          path(),
          Buffer.concat([readFileSync(path()).subarray(0, 100), Buffer.alloc(statSync(path()).size - 100, 0xee)]),
        ),
    ],
  ];
  it.each(damages)('are the snapshots and the leases of containers, of a database that is %s', async (_, damage) => {
    await filled();
    damage();
    using store = await reopened();
    expect(store.layers.find(chainId)).toMatchObject({ chainId, diffId: digestOf('diff'), size: 42 });
    expect(store.database.all('SELECT kind, owner FROM leases')).toEqual([
      { kind: 'folder', owner: join(root, 'container') },
    ]);
    await store.collectGarbage();
    expect(store.layers.list()).toHaveLength(1);
    expect(store.database.check()).toBeUndefined();
    expect(readdirSync(root).filter((name) => name.endsWith('.damaged'))).toEqual([]);
  });

  /** What is damaged where nobody looks when it is opened is found by who gets there, and made again by the next. */
  async function reopened(): Promise<ImageStore> {
    const first = await ImageStore.open(root);
    try {
      first.layers.list();
      first.lease()[Symbol.dispose]();
      return first;
    } catch (error) {
      expect(error).toMatchObject({
        code: 'state',
        message: expect.stringMatching(/is damaged; it is made anew when/),
      });
      first.close();
      return ImageStore.open(root);
    }
  }

  it('does not take what a living process has leased', async () => {
    using old = await ImageStore.open(root);
    const lease = old.lease();
    const { digest } = await old.content.put(Buffer.from('leased'), 'text/plain', lease);
    for (const name of readdirSync(root).filter((one) => one.startsWith('tare.db'))) rmSync(join(root, name));
    using store = await ImageStore.open(root);
    const collecting = store.collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(store.content.has(digest)).toBe(true);
    lease[Symbol.dispose]();
    await collecting;
  });
});

describe('a database', () => {
  it('is made by one of many who come at once', async () => {
    const stores = await Promise.all(Array.from({ length: 8 }, () => ImageStore.open(root)));
    for (const store of stores) {
      expect(store.database.version).toBe(1);
      store.lease().addBlob(other);
    }
    expect(stores[0]?.database.all('SELECT id FROM leases')).toHaveLength(8);
    for (const store of stores) store.close();
  });

  it('of a newer version is left alone', async () => {
    await filled();
    {
      using database = StoreDatabase.open(path());
      database.script('PRAGMA user_version = 99');
    }
    await expect(ImageStore.open(root)).rejects.toThrow(
      expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('newer version of Tare') }),
    );
  });

  it('does all or nothing', async () => {
    using store = await ImageStore.open(root);
    const { database } = store;
    const broken = () =>
      database.immediate(() => {
        database.run('INSERT INTO blobs VALUES (?, 0)', other);
        database.immediate(() => database.run('INSERT INTO blobs VALUES (?, 0)', chainId));
        throw new Error('on purpose');
      });
    expect(broken).toThrow('on purpose');
    expect(database.all('SELECT * FROM blobs')).toEqual([]);
  });

  it('has numbers for snapshots that no folder has', async () => {
    using store = await ImageStore.open(root);
    mkdirSync(join(root, 'snapshots', '1'));
    mkdirSync(join(root, 'snapshots', '2'));
    await using scratch = await store.scratch();
    mkdirSync(join(scratch.path, 'fs'));
    expect(store.layers.publish(scratch.path, { chainId, diffId: chainId, size: 0 })).toBe(true);
    expect(store.layers.find(chainId)?.fs).toBe(join(root, 'snapshots', '3', 'fs'));
    await using late = await store.scratch();
    mkdirSync(join(late.path, 'fs'));
    expect(store.layers.publish(late.path, { chainId, diffId: chainId, size: 0 })).toBe(false);
    await store.collectGarbage();
    expect(readdirSync(join(root, 'snapshots'))).toEqual([]);
  });
});
