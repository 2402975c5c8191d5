import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pullUnpacked } from '../../runtime/image/pull-unpacked.js';
import { parseReference } from '../../runtime/image/reference.js';
import { chainIdsOf, openSnapshots } from '../../runtime/image/snapshot/index.js';
import type { Progress } from '../../runtime/image/types.js';
import { digestOf } from '../../runtime/oci/image/index.js';
import { makeImage, makeLayer } from '../harness/images.js';
import { FakeRegistry, QUICK } from './registry/fake.js';
import { makeStore } from './registry/real.js';

let registry: FakeRegistry;
beforeEach(async (context) => {
  if (process.geteuid?.() !== 0) context.skip('only root gives files to others');
  registry = await FakeRegistry.start();
});
afterEach(() => registry?.[Symbol.asyncDispose]());

const one = makeLayer([{ path: 'one', content: '1' }]);
const two = makeLayer([{ path: 'two', content: '2' }]);
const image = makeImage([one, two]);

/** Answers a blob no sooner than this has happened. */
function holdBack(digest: string, until: Promise<unknown>): void {
  registry.lie = async ({ path }) => {
    if (path.endsWith(digest)) await until;
    return false;
  };
}

describe('pulling and unpacking', () => {
  const reference = () => parseReference(`${registry.host}/team/app:1`);
  const chain = chainIdsOf([one.diffId, two.diffId]);

  it('unpacks a layer while the next is still on its way', async () => {
    registry.add(image);
    using made = await makeStore();
    const { store } = made;
    using lease = store.lease();
    const unpacked = new AbortController();
    // Without an end if all is downloaded first.
    holdBack(two.descriptor.digest, new Promise((resolve) => unpacked.signal.addEventListener('abort', resolve)));
    const onProgress = ({ id, action, detail }: Progress) => {
      if (one.descriptor.digest.includes(id) && action === 'done' && detail !== 'downloaded') unpacked.abort();
    };
    const pulled = await pullUnpacked(store, reference(), { ...QUICK, lease, onProgress });
    await pulled.unpacked;
    expect(store.names.get(reference())).toEqual(image.manifestDescriptor);
    expect(
      openSnapshots(store)
        .lower(chain[1] as (typeof chain)[0])
        .map((path) => readdirSync(path)),
    ).toEqual([['two'], ['one']]);
  });

  it('takes a layer that an image has twice', async () => {
    registry.add(makeImage([one, two, one]));
    using made = await makeStore();
    using lease = made.store.lease();
    await (await pullUnpacked(made.store, reference(), { ...QUICK, lease })).unpacked;
    expect(readdirSync(join(made.folder, 'images/snapshots')).length).toBe(3);
  });

  it.each([
    ['whose layer is not what its config says', makeImage([one, { ...two, diffId: digestOf('other') }])],
    ['whose layer leaves the folder', makeImage([one, makeLayer([{ path: '../x', content: 'x' }])])],
  ])('has pulled an image %s, and says then that it cannot be unpacked', async (_, bad) => {
    registry.add(bad);
    using made = await makeStore();
    const { store, folder } = made;
    using lease = store.lease();
    const { target, unpacked } = await pullUnpacked(store, reference(), { ...QUICK, lease });
    expect(store.names.get(reference())).toEqual(target);
    await expect(unpacked).rejects.toMatchObject({ code: 'protocol' });
    expect(readdirSync(join(folder, 'images/ingest'))).toEqual([]);
  });

  it('has nothing to unpack of an image without layers', async () => {
    registry.add(makeImage([]));
    using made = await makeStore();
    using lease = made.store.lease();
    const { unpacked } = await pullUnpacked(made.store, reference(), { ...QUICK, lease });
    expect(await unpacked).toBeUndefined();
    expect(readdirSync(join(made.folder, 'images/snapshots'))).toEqual([]);
  });

  it('gives neither name nor half a snapshot to an image of which a layer is missing', async () => {
    registry.add(image);
    registry.blobs.delete(two.descriptor.digest);
    using made = await makeStore();
    const { store, folder } = made;
    using lease = store.lease();
    await expect(pullUnpacked(store, reference(), { ...QUICK, lease })).rejects.toMatchObject({ code: 'not-found' });
    expect(store.names.get(reference())).toBeUndefined();
    // A download that was under way may be gone on with.
    expect(readdirSync(join(folder, 'images/ingest')).filter((name) => name.startsWith('folder-'))).toEqual([]);
    expect(openSnapshots(store).has(chain[1] as (typeof chain)[0])).toBe(false);
  });

  it('stops where it is told to', async () => {
    registry.add(image);
    using made = await makeStore();
    const { store, folder } = made;
    using lease = store.lease();
    const [stop, reason] = [new AbortController(), new Error('enough')];
    const onProgress = ({ action }: Progress) => action === 'unpacking' && stop.abort(reason);
    holdBack(two.descriptor.digest, new Promise((resolve) => stop.signal.addEventListener('abort', resolve)));
    const pulling = pullUnpacked(store, reference(), { ...QUICK, lease, onProgress, signal: stop.signal });
    await expect(pulling).rejects.toThrow();
    expect(store.names.get(reference())).toBeUndefined();
    expect(readdirSync(join(folder, 'images/ingest')).filter((name) => name.startsWith('folder-'))).toEqual([]);
  });
});
