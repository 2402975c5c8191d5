/**
 * Attack 21, CVE-2021-41190: a document that is a manifest to one reader and an index to another; content that is not what its digest or its size says.
 * Nothing of it is in the store afterwards.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseReference } from '../../runtime/image/reference.js';
import { pull } from '../../runtime/image/registry/index.js';
import { type Descriptor, type Digest, digestOf, MEDIA } from '../../runtime/oci/image/index.js';
import { makeImage, makeLayer } from '../harness/images.js';
import { FakeRegistry, QUICK } from '../image/registry/fake.js';
import { makeStore, type TestStore } from '../image/registry/real.js';

let registry: FakeRegistry;
let one: TestStore;
const layer = makeLayer([{ path: 'file', content: 'content' }]);
const image = makeImage([layer]);

beforeEach(async () => {
  registry = await FakeRegistry.start();
  one = await makeStore();
  registry.add(image);
});
afterEach(async () => {
  one[Symbol.dispose]();
  await registry[Symbol.asyncDispose]();
});

const pullIt = (tag = '1') => pull(one.store, parseReference(`${registry.host}/team/app:${tag}`), QUICK);

async function expectRefused(message: RegExp, tag?: string): Promise<void> {
  await expect(pullIt(tag)).rejects.toMatchObject({ message: expect.stringMatching(message) });
  expect(one.store.names.list()).toEqual([]);
  await one.store.collectGarbage({ partials: true });
  expect([...one.store.content.list()]).toEqual([]);
  expect(readdirSync(join(one.store.root, 'ingest'))).toEqual([]);
}

it('the image itself is pulled: what follows fails by what is changed in it', async () => {
  await pullIt();
  expect(one.store.content.has(layer.descriptor.digest)).toBe(true);
});

describe('a document of two kinds', () => {
  const both = { ...image.manifest, manifests: [image.manifestDescriptor] };
  const { mediaType: _, ...plain } = both;
  it.each([
    ['as a manifest', both, MEDIA.ociManifest],
    ['as an index', { ...both, mediaType: MEDIA.ociIndex }, MEDIA.ociIndex],
    ['as an index, that does not name itself', plain, MEDIA.ociIndex],
    ['as a manifest, that does not name itself', plain, MEDIA.dockerManifest],
    ['announced as nothing', plain, 'application/json'],
  ])('%s', async (_, document, mediaType) => {
    registry.addManifest('both', document, mediaType);
    await expectRefused(/could be read in two ways/, 'both');
  });

  it.each([
    ['a manifest that is announced as an index', image.manifest, MEDIA.ociIndex],
    [
      'an index that is announced as a manifest',
      { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [] },
      MEDIA.ociManifest,
    ],
    ['a manifest under Docker’s type that calls itself OCI’s', image.manifest, MEDIA.dockerManifest],
  ])('%s', async (_, document, mediaType) => {
    registry.addManifest('other', document, mediaType);
    await expectRefused(/is refused|neither/, 'other');
  });

  it('an index says that its entry is of another kind than it is', async () => {
    const entry = {
      ...image.manifestDescriptor,
      mediaType: MEDIA.ociIndex,
      platform: { os: 'linux', architecture: 'amd64' },
    };
    registry.addManifest('index', { schemaVersion: 2, manifests: [entry] }, MEDIA.ociIndex);
    await expectRefused(/is refused/, 'index');
  });

  it('an index of itself', async () => {
    const nested = { schemaVersion: 2, manifests: [] as Descriptor[] };
    for (let depth = 0; depth < 10; depth++) {
      const inner = registry.addManifest('nested', { ...nested }, MEDIA.ociIndex);
      nested.manifests = [{ ...inner, platform: { os: 'linux', architecture: 'amd64' } }];
    }
    registry.addManifest('nested', nested, MEDIA.ociIndex);
    await expectRefused(/indexes within indexes/, 'nested');
  });
});

describe('other bytes', () => {
  const changed = Buffer.from(layer.blob);
  changed[20] = (changed[20] as number) ^ 1;

  it.each([
    ['a layer with one bit changed', layer.descriptor.digest, changed],
    ['a layer that is longer', layer.descriptor.digest, Buffer.concat([layer.blob, Buffer.from('x')])],
    ['a layer that is shorter', layer.descriptor.digest, layer.blob.subarray(1)],
    ['an empty layer', layer.descriptor.digest, Buffer.alloc(0)],
    ['another config', image.id, Buffer.from('{}')],
  ])('%s', async (_, digest, data) => {
    registry.blobs.set(digest, data);
    await expectRefused(/is refused/);
  });

  it('a manifest by digest that is another one', async () => {
    const entry = { ...image.manifestDescriptor, platform: { os: 'linux', architecture: 'amd64' } };
    registry.addManifest('index', { schemaVersion: 2, manifests: [entry] }, MEDIA.ociIndex);
    const other = makeImage([makeLayer([{ path: 'other' }])]);
    registry.add(other, 'other');
    registry.manifests.set(image.manifestDescriptor.digest, {
      data: other.blobs.get(other.manifestDescriptor.digest) as Buffer,
      mediaType: MEDIA.ociManifest,
    });
    await expectRefused(/its digest is/, 'index');
  });

  it('a size in an index that is not the manifest’s', async () => {
    const entry = { ...image.manifestDescriptor, size: 7, platform: { os: 'linux', architecture: 'amd64' } };
    registry.addManifest('index', { schemaVersion: 2, manifests: [entry] }, MEDIA.ociIndex);
    await expectRefused(/has not the 7 bytes/, 'index');
  });

  it.each([
    'sha256:../../../etc/passwd',
    'sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709',
    `sha256:${'A'.repeat(64)}`,
    `md5:${createHash('md5').update('').digest('hex')}`,
  ])('a digest that is none: %s', async (digest) => {
    const layers = [{ ...layer.descriptor, digest: digest as Digest }];
    registry.addManifest('odd', { ...image.manifest, layers }, MEDIA.ociManifest);
    await expectRefused(/is no digest/, 'odd');
    expect(registry.blobRequests()).toEqual([]);
  });

  it('a registry that says another digest than it sends', async () => {
    const { data } = registry.manifests.get('1') as { data: Buffer };
    registry.lie = ({ path }, response) => {
      if (!path.endsWith('/manifests/1')) return false;
      response.writeHead(200, { 'content-type': MEDIA.ociManifest, 'docker-content-digest': digestOf('x') }).end(data);
      return true;
    };
    await expectRefused(/its digest is/);
  });
});
