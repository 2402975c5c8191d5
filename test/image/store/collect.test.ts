/** Garbage collection: what is reachable stays, by whatever way; the rest goes. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prune } from '../../../runtime/image/prune.js';
import { parseReference } from '../../../runtime/image/reference.js';
import { removeImage, usersOf } from '../../../runtime/image/remove.js';
import { chainIdsOf } from '../../../runtime/image/snapshot/chain.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { diskUsage, type UsageRow } from '../../../runtime/image/usage.js';
import { type Digest, digestOf, MEDIA } from '../../../runtime/oci/image/index.js';
import { makeImage, makeLayer, putImage, type TestImage } from '../../harness/images.js';

let root: string;
let store: ImageStore;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tare-collect-'));
  store = await ImageStore.open(join(root, 'images'));
});

afterEach(() => {
  store.close();
  rmSync(root, { recursive: true, force: true });
});

const blobs = () => new Set([...store.content.list()].map(({ digest }) => digest));
const digestsOf = (...images: TestImage[]) => new Set(images.flatMap(({ blobs: all }) => [...all.keys()]));
const image = (...texts: string[]) => makeImage(texts.map((text) => makeLayer([{ path: 'file', content: text }])));
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/** Snapshots of an image, with a file in each. */
async function unpack({ config }: TestImage): Promise<Digest[]> {
  const chain = chainIdsOf(config.rootfs.diff_ids);
  for (const [i, chainId] of chain.entries()) {
    await using scratch = await store.scratch();
    mkdirSync(join(scratch.path, 'fs'));
    writeFileSync(join(scratch.path, 'fs', 'file'), 'content');
    store.layers.publish(scratch.path, {
      chainId,
      ...(i > 0 && { parent: chain[i - 1] }),
      diffId: config.rootfs.diff_ids[i] as Digest,
      size: 4096,
    });
  }
  return chain;
}

describe('what is kept', () => {
  it('is all of an image that has a name, and nothing else', async () => {
    const [kept, lost] = [image('a', 'b'), image('c')];
    await putImage(store, kept, 'kept');
    await putImage(store, lost);
    expect(blobs()).toEqual(digestsOf(kept, lost));
    expect(await store.collectGarbage()).toMatchObject({ blobs: 3, snapshots: 0 });
    expect(blobs()).toEqual(digestsOf(kept));
    expect(await store.collectGarbage()).toEqual({ blobs: 0, snapshots: 0, leftovers: 0, bytes: 0 });
  });

  it('is what two images share, until both are gone', async () => {
    const [one, two] = [image('shared', 'one'), image('shared', 'two')];
    await putImage(store, one, 'one');
    await putImage(store, two, 'two');
    await removeImage(store, 'one');
    await store.collectGarbage();
    expect(blobs()).toEqual(digestsOf(two));
    await removeImage(store, 'two');
    await store.collectGarbage();
    expect(blobs()).toEqual(new Set());
  });

  it('is each platform of an index that is here', async () => {
    const [amd, arm] = [image('amd'), image('arm')];
    await putImage(store, amd);
    await putImage(store, arm);
    using lease = store.lease();
    const index = {
      schemaVersion: 2,
      mediaType: MEDIA.ociIndex,
      manifests: [
        amd.manifestDescriptor,
        arm.manifestDescriptor,
        { ...arm.manifestDescriptor, digest: digestOf('not here') },
      ],
    };
    await store.names.set(parseReference('both'), await store.content.put(json(index), MEDIA.ociIndex, lease));
    await store.collectGarbage();
    expect(blobs()).toEqual(digestsOf(amd, arm).add(digestOf(json(index))));
  });

  it('is what refers to an image, and what refers to that', async () => {
    const signed = image('signed');
    await putImage(store, signed, 'signed');
    using lease = store.lease();
    const attach = async (subject: object, content: string) => {
      const empty = await store.content.put(Buffer.from('{}'), MEDIA.ociEmpty, lease);
      const layer = await store.content.put(Buffer.from(content), 'text/plain', lease);
      const manifest = {
        schemaVersion: 2,
        mediaType: MEDIA.ociManifest,
        artifactType: 'a/b',
        config: empty,
        layers: [layer],
        subject,
      };
      return store.content.put(json(manifest), MEDIA.ociManifest, lease);
    };
    const signature = await attach(signed.manifestDescriptor, 'signature');
    const second = await attach(signature, 'signature of the signature');
    const other = await attach(image('unknown').manifestDescriptor, 'of nothing that is here');
    lease[Symbol.dispose]();
    await store.collectGarbage();
    expect(store.content.has(signature.digest)).toBe(true);
    expect(store.content.has(second.digest)).toBe(true);
    expect(store.content.has(digestOf('signature of the signature'))).toBe(true);
    expect(store.content.has(other.digest)).toBe(false);
    await removeImage(store, 'signed');
    await store.collectGarbage();
    expect(blobs()).toEqual(new Set());
  });

  it('are the snapshots of images that have a name, with those below', async () => {
    const [kept, lost] = [image('a', 'b'), image('a', 'c')];
    await putImage(store, kept, 'kept');
    await putImage(store, lost, 'lost');
    const [chain, other] = [await unpack(kept), await unpack(lost)];
    expect(store.layers.list()).toHaveLength(3);
    await removeImage(store, 'lost');
    expect(await store.collectGarbage()).toMatchObject({ snapshots: 1 });
    expect(store.layers.find(chain[1] as Digest)).toBeDefined();
    expect(store.layers.find(other[1] as Digest)).toBeUndefined();
    expect(readdirSync(join(store.root, 'snapshots'))).toHaveLength(2);
    expect(readdirSync(join(store.root, 'ingest'))).toEqual([]);
  });

  it('is what the cache of builds names', async () => {
    const built = image('built');
    await putImage(store, built);
    const [chainId] = (await unpack(built)) as [Digest];
    store.cache.set('key', { some: 'thing' }, { blobs: [built.manifestDescriptor.digest], snapshots: [chainId] });
    await store.collectGarbage();
    expect(blobs()).toEqual(digestsOf(built));
    expect(store.cache.get('key')).toEqual({ some: 'thing' });
    store.cache.clear();
    expect(await store.collectGarbage()).toMatchObject({ blobs: 3, snapshots: 1 });
  });

  it('is what another program has written a moment ago and not named yet', async () => {
    const data = Buffer.from('of skopeo');
    const path = join(store.root, 'blobs', 'sha256', digestOf(data).slice(7));
    writeFileSync(path, data);
    await store.collectGarbage();
    expect(store.content.has(digestOf(data))).toBe(true);
    const before = Date.now() / 1000 - 3600;
    utimesSync(path, before, before);
    await store.collectGarbage();
    expect(store.content.has(digestOf(data))).toBe(false);
  });
});

describe('a lease', () => {
  it('keeps what it names and what that needs, until it ends', async () => {
    const pulled = image('pulled');
    const lease = store.lease();
    for (const [digest, data] of pulled.blobs)
      await store.content.put(data, 'x/y', lease).then((put) => expect(put.digest).toBe(digest));
    await store.collectGarbage();
    expect(blobs()).toEqual(digestsOf(pulled));
    using other = store.lease();
    other.addBlob(pulled.manifestDescriptor.digest);
    lease[Symbol.dispose]();
    await store.collectGarbage();
    expect(blobs()).toEqual(digestsOf(pulled));
    other[Symbol.dispose]();
    await store.collectGarbage();
    expect(blobs()).toEqual(new Set());
    expect(readdirSync(join(store.root, 'leases'))).toEqual([]);
  });

  it('of a folder lasts as long as the folder, also over the loss of the database', async () => {
    const used = image('used', 'twice');
    await putImage(store, used, 'used');
    const chain = await unpack(used);
    const folder = join(root, 'container');
    mkdirSync(folder);
    store.lease(folder).addSnapshot(chain[1] as Digest);
    await removeImage(store, 'used', { force: true });
    await store.collectGarbage();
    expect(blobs()).toEqual(new Set());
    expect(store.layers.list()).toHaveLength(2);
    store.close();
    for (const name of ['tare.db', 'tare.db-wal', 'tare.db-shm']) rmSync(join(store.root, name), { force: true });
    store = await ImageStore.open(store.root);
    await store.collectGarbage();
    expect(store.layers.list()).toHaveLength(2);
    rmSync(folder, { recursive: true });
    await store.collectGarbage();
    expect(store.layers.list()).toEqual([]);
  });

  it('of a folder is not that of an earlier folder of this name', async () => {
    const [one, two] = [image('one'), image('two')];
    await putImage(store, one, 'one');
    await putImage(store, two, 'two');
    const folder = join(root, 'container');
    mkdirSync(folder);
    store.lease(folder).addBlob(one.manifestDescriptor.digest);
    rmSync(folder, { recursive: true });
    store.lease(folder).addBlob(two.manifestDescriptor.digest);
    mkdirSync(folder);
    expect([usersOf(store, one.manifestDescriptor), usersOf(store, two.manifestDescriptor)]).toEqual([
      [],
      ['container'],
    ]);
  });

  it('of a process that was killed is over', async () => {
    const id = 'p-00000000deadbeef';
    const imagesRow = () => diskUsage(store, join(root, 'containers'))[0] as UsageRow;
    const gone = image('gone');
    await putImage(store, gone);
    // As it is left: a file that nobody has locked, and its rows.
    writeFileSync(join(store.root, 'leases', id), '');
    store.database.run(`INSERT INTO leases VALUES (?, 'process', '1', 0)`, id);
    for (const digest of digestsOf(gone))
      store.database.run(`INSERT INTO lease_items VALUES (?, 'blob', ?)`, id, digest);
    const holder = spawn('flock', [join(store.root, 'leases', id), 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      holder.stdin.write('x');
      await new Promise((resolve) => holder.stdout.once('data', resolve));
      await store.collectGarbage();
      expect(blobs()).toEqual(digestsOf(gone));
      expect(imagesRow().reclaimable).toBe(0);
    } finally {
      const ended = new Promise((resolve) => holder.once('close', resolve));
      holder.stdin.end();
      await ended;
    }
    expect(imagesRow().reclaimable).toBe(imagesRow().bytes);
    await store.collectGarbage();
    expect(blobs()).toEqual(new Set());
    expect(readdirSync(join(store.root, 'leases'))).toEqual([]);
  });
});

describe('removing an image', () => {
  it('only takes a name away while it has another', async () => {
    const named = image('named');
    await putImage(store, named, 'one:1');
    await store.names.set(parseReference('two:2'), named.manifestDescriptor);
    expect(await removeImage(store, 'one:1')).toEqual({ untagged: ['one:1'], nameless: [] });
    await expect(removeImage(store, 'one:1')).rejects.toThrow(expect.objectContaining({ code: 'not-found' }));
    expect(await removeImage(store, 'two:2')).toEqual({ untagged: ['two:2'], nameless: [named.manifestDescriptor] });
  });

  it('by its id takes its only name, and several when forced', async () => {
    const named = image('named');
    const prefix = named.id.slice(7, 19);
    await putImage(store, named, 'one:1');
    await store.names.set(parseReference('two:2'), named.manifestDescriptor);
    await expect(removeImage(store, prefix)).rejects.toThrow(/has several names \(one:1, two:2\)/);
    expect((await removeImage(store, prefix, { force: true })).untagged).toEqual(['one:1', 'two:2']);
    expect(store.names.list()).toEqual([]);
  });

  it('by its id removes what has lost its name', async () => {
    const [old, young] = [image('old'), image('young')];
    await putImage(store, old, 'app');
    await putImage(store, young, 'app');
    expect(await removeImage(store, old.id)).toEqual({ untagged: [], nameless: [old.manifestDescriptor] });
    expect(store.names.list()).toHaveLength(1);
  });

  it('is refused while a container uses it, unless it is forced', async () => {
    const used = image('used');
    await putImage(store, used, 'used');
    const [chainId] = (await unpack(used)) as [Digest];
    const folder = join(root, 'web');
    mkdirSync(folder);
    store.lease(folder).addSnapshot(chainId);
    await expect(removeImage(store, 'used')).rejects.toThrow(
      expect.objectContaining({ code: 'state', message: expect.stringContaining('container web uses it') }),
    );
    await store.names.set(parseReference('other'), used.manifestDescriptor);
    await removeImage(store, 'other');
    await removeImage(store, 'used', { force: true });
    await store.collectGarbage();
    expect(store.layers.find(chainId)).toBeDefined();
  });
});

describe('pruning', () => {
  it('removes what has no name, interrupted downloads, stale folders; with all also what no container uses', async () => {
    const containers = join(root, 'containers');
    const [old, young, used] = [image('old'), image('young'), image('used')];
    await putImage(store, old, 'app');
    await putImage(store, young, 'app');
    await putImage(store, used, 'used');
    const [chainId] = (await unpack(used)) as [Digest];
    mkdirSync(join(root, 'state', 'web'), { recursive: true });
    store.lease(join(root, 'state', 'web')).addSnapshot(chainId);
    for (const id of ['web', 'gone', 'new']) mkdirSync(join(containers, id), { recursive: true });
    writeFileSync(join(containers, 'gone', 'owner'), join(root, 'state', 'gone'));
    writeFileSync(join(containers, 'web', 'owner'), join(root, 'state', 'web'));
    {
      using lease = store.lease();
      await using partial = await store.content.ingest({ digest: digestOf('never'), size: 1000 }, lease);
      await partial?.write(Buffer.alloc(500));
    }
    await store.collectGarbage();
    expect(readdirSync(join(store.root, 'ingest'))).toHaveLength(1);

    const first = await prune(store, { containers });
    expect(first).toMatchObject({
      untagged: [old.manifestDescriptor.digest],
      blobs: 3,
      snapshots: 0,
      leftovers: 1,
      containers: ['gone'],
    });
    expect(first.bytes).toBeGreaterThan(500);
    expect(readdirSync(join(store.root, 'ingest'))).toEqual([]);

    const second = await prune(store, { containers, all: true });
    expect(second).toMatchObject({ untagged: ['app:latest'], blobs: 3 });
    expect(blobs()).toEqual(digestsOf(used));
    // What is new may be of a container that is being made.
    expect(readdirSync(containers).sort()).toEqual(['new', 'web']);
    // An image with two names is one image.
    await store.names.set(parseReference('another:name'), used.manifestDescriptor);
    expect(diskUsage(store, containers).map(({ kind, count, active }) => [kind, count, active])).toEqual([
      ['images', 1, 1],
      ['layers', 1, 1],
      ['build cache', 0, 0],
      ['containers', 2, 2],
      ['leftovers', 0, 0],
    ]);
  });
});
