/** What is wrong with a store is found and named; what is only left over is no fault. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseReference } from '../../../runtime/image/reference.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { type Digest, digestOf, MEDIA } from '../../../runtime/oci/image/index.js';
import { makeImage, makeLayer, putImage, type TestImage } from '../../harness/images.js';

let root: string;
let store: ImageStore;
let image: TestImage;
let snapshot: string;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tare-verify-'));
  store = await ImageStore.open(root);
  image = makeImage([makeLayer([{ path: 'file', content: 'x' }])]);
  await putImage(store, image, 'app:1');
  await using scratch = await store.scratch();
  mkdirSync(join(scratch.path, 'fs'));
  const diffId = image.config.rootfs.diff_ids[0] as Digest;
  store.layers.publish(scratch.path, { chainId: diffId, diffId, size: 4096 });
  snapshot = join(root, 'snapshots', '1');
});

afterEach(() => {
  store.close();
  rmSync(root, { recursive: true, force: true });
});

const layer = () => image.layers[0]?.descriptor.digest as Digest;
const problems = async () => (await store.verify()).problems.map(({ what, message }) => `${what} ${message}`);

it('a store that is whole has no problems', async () => {
  const reported: string[] = [];
  const { problems: found, ...counts } = await store.verify(({ action }) => reported.push(action));
  expect(found).toEqual([]);
  expect(counts).toEqual({
    images: 1,
    blobs: 3,
    snapshots: 1,
    bytes: [...image.blobs.values()].reduce((sum, { length }) => sum + length, 0),
  });
  expect(reported).toContain('verifying');
});

it('a blob with another content', async () => {
  const path = store.content.path(layer());
  const data = readFileSync(path);
  data[data.length - 1] = (data.at(-1) as number) ^ 1;
  writeFileSync(path, data);
  expect(await problems()).toEqual([`${layer()} is damaged: its content is another`]);
  expect((await store.verify()).problems[0]?.damaged).toBe(layer());
});

it('a blob that has been cut', async () => {
  truncateSync(store.content.path(layer()), 5);
  const size = image.layers[0]?.descriptor.size;
  expect(await problems()).toEqual([
    `${layer()} is damaged: its content is another`,
    `app:1 wants ${layer()} to have ${size} bytes, and it has 5`,
  ]);
});

it.each<[string, () => Digest]>([
  ['layer', layer],
  ['config', () => image.id],
  ['manifest', () => image.manifestDescriptor.digest],
])('a %s that is missing', async (_, digest) => {
  rmSync(store.content.path(digest()));
  expect(await problems()).toEqual([`app:1 lacks ${digest()}`]);
});

it('a manifest that could be read in two ways, and an index without any that is here', async () => {
  using lease = store.lease();
  const put = async (name: string, value: unknown, mediaType: string) =>
    store.names.set(
      parseReference(name),
      await store.content.put(Buffer.from(JSON.stringify(value)), mediaType, lease),
    );
  await put('two', { ...image.manifest, manifests: [] }, MEDIA.ociManifest);
  const elsewhere = { ...image.manifestDescriptor, digest: digestOf('elsewhere') };
  await put('index', { schemaVersion: 2, manifests: [elsewhere] }, MEDIA.ociIndex);
  expect(await problems()).toEqual([
    expect.stringMatching(/^two:latest cannot be used: .*could be read in two ways/),
    'index:latest has no platform that is here',
  ]);
});

it('a snapshot whose folder is gone, is another, or has nothing below it', async () => {
  store.database.run(`INSERT INTO snapshots VALUES (9, 'sha256:x', 'sha256:below', 'sha256:y', 0, 0)`);
  mkdirSync(join(root, 'snapshots', '9', 'fs'), { recursive: true });
  rmSync(join(snapshot, 'fs'), { recursive: true });
  expect(await problems()).toEqual([
    `${snapshot} is missing: the layer ${image.config.rootfs.diff_ids[0]}`,
    `${join(root, 'snapshots', '9')} does not say that it is the layer sha256:x`,
    `${join(root, 'snapshots', '9')} lies over sha256:below, which is missing`,
  ]);
});

it('an index.json that cannot be read', async () => {
  writeFileSync(join(root, 'index.json'), '{');
  expect(await problems()).toEqual([expect.stringMatching(/^index.json cannot be used: .*is no JSON/)]);
});

it('not what a killed command has left', async () => {
  mkdirSync(join(root, 'snapshots', '7'));
  mkdirSync(join(root, 'ingest', 'folder-0123'));
  writeFileSync(join(root, 'ingest', 'new-0123'), 'half');
  expect(await problems()).toEqual([]);
});
