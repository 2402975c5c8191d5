/** Finding images: by name, digest, id and platform; and what is said where there is none. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadImage, platformsOf } from '../../runtime/image/image.js';
import { listImages, matchesReference } from '../../runtime/image/list.js';
import { parsePlatform } from '../../runtime/image/platform.js';
import { parseReference } from '../../runtime/image/reference.js';
import { usersOf } from '../../runtime/image/remove.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import { type Descriptor, digestOf, MEDIA } from '../../runtime/oci/image/index.js';
import { makeImage, makeLayer, putImage, type TestImage } from '../harness/images.js';

let root: string;
let store: ImageStore;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'tare-image-'));
  store = await ImageStore.open(root);
});

afterEach(() => {
  store.close();
  rmSync(root, { recursive: true, force: true });
});

const image = (text: string, platform = 'linux/amd64') =>
  makeImage([makeLayer([{ path: 'file', content: text }])], { platform: parsePlatform(platform) });
const failing = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

/** An index under a name; those that are `here` are in the store. */
async function putIndex(
  name: string,
  here: readonly TestImage[],
  absent: readonly TestImage[] = [],
): Promise<Descriptor> {
  for (const one of here) await putImage(store, one);
  using lease = store.lease();
  const manifests = [...here, ...absent].map(({ manifestDescriptor, config: { os, architecture, variant } }) => ({
    ...manifestDescriptor,
    platform: { os, architecture, ...(variant && { variant }) },
  }));
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests }));
  const target = await store.content.put(index, MEDIA.ociIndex, lease);
  await store.names.set(parseReference(name), target);
  return target;
}

describe('an index that names one manifest again and again', () => {
  it('costs no more than what it names', async () => {
    const many = Array.from({ length: 50 }, () => image('same'));
    const target = await putIndex('many', many);
    const read = vi.spyOn(store.content, 'read');
    const reads = (work: () => unknown) => {
      read.mockClear();
      work();
      return read.mock.calls.length;
    };
    // The index, the manifest and the config, each once or twice.
    expect(reads(() => expect(platformsOf(store, target)).toHaveLength(50))).toBeLessThan(5);
    expect(reads(() => expect(listImages(store)).toMatchObject([{ id: many[0]?.id }]))).toBeLessThan(15);
    expect(reads(() => loadImage(store, many[0]?.id as string))).toBeLessThan(15);
    expect(reads(() => usersOf(store, target))).toBeLessThan(15);
    // Without a platform of its own in the index, it is its config's.
    const plain = many.map(({ manifestDescriptor }) => manifestDescriptor);
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: plain }));
    using lease = store.lease();
    const other = await store.content.put(index, MEDIA.ociIndex, lease);
    const found = { platform: { os: 'linux', architecture: 'amd64' }, isHere: true };
    const all = () => expect(platformsOf(store, other)).toEqual(plain.map((descriptor) => ({ descriptor, ...found })));
    expect(reads(all)).toBeLessThan(5);
  });
});

describe('an image', () => {
  it('is found by its name, its id, digits of that, and the digest of its manifest', async () => {
    const one = image('one');
    await putImage(store, one, 'debian:12');
    const { manifestDescriptor } = one;
    const words = [
      'debian:12',
      'docker.io/library/debian:12',
      one.id,
      one.id.slice(7),
      one.id.slice(7, 13),
      manifestDescriptor.digest,
      `debian@${manifestDescriptor.digest}`,
    ];
    for (const word of words) {
      const found = loadImage(store, word);
      expect(found).toMatchObject({
        id: one.id,
        target: manifestDescriptor,
        manifestDescriptor,
        manifest: one.manifest,
        config: one.config,
      });
    }
    expect(loadImage(store, 'debian:12').reference).toEqual(parseReference('debian:12'));
    expect(loadImage(store, one.id).reference).toBeUndefined();
    expect(loadImage(store, parseReference('debian:12')).id).toBe(one.id);
  });

  it('without a name is found by its whole digest, as builds do', async () => {
    const one = image('one');
    await putImage(store, one);
    expect(loadImage(store, one.manifestDescriptor.digest).id).toBe(one.id);
  });

  it('has a name that could be an id: the name is meant', async () => {
    const [one, two] = [image('one'), image('two')];
    await putImage(store, one, 'one');
    await putImage(store, two, one.id.slice(7, 19));
    expect(loadImage(store, one.id.slice(7, 19)).id).toBe(two.id);
  });

  it('is not found, and how to get it is said', async () => {
    expect(() => loadImage(store, 'nosuch:1')).toThrow(failing('not-found', /no image "nosuch:1" here: .*"tare pull"/));
    expect(() => loadImage(store, 'abcdef123456')).toThrow(failing('not-found', /no image "abcdef123456"/));
    await putImage(store, image('here'), 'localhost/busybox:1');
    for (const wrong of ['busybox', 'localhost/busybos:1', 'localhost:5000/busybox:1', 'localhost/busybox:2'])
      expect(() => loadImage(store, wrong)).toThrow(failing('not-found', /: did you mean "localhost\/busybox:1"\?$/));
    expect(() => loadImage(store, 'No Name')).toThrow(failing('usage', /is no name of an image/));
  });

  it('is one of several whose ids begin so', async () => {
    // Of so many, two have four digits in common (the birthday of 16 bits), and these are put into the store.
    const seen = new Map<string, TestImage>();
    for (let i = 0; ; i++) {
      const one = image(`many ${i}`);
      const prefix = one.id.slice(7, 11);
      const other = seen.get(prefix);
      seen.set(prefix, one);
      if (!other) continue;
      await putImage(store, one, 'one');
      await putImage(store, other, 'other');
      expect(() => loadImage(store, prefix)).toThrow(
        failing('usage', new RegExp(`several images have an id that begins with ${prefix}`)),
      );
      expect(loadImage(store, other.id.slice(7, 30)).id).toBe(other.id);
      return;
    }
  });
});

describe('a platform', () => {
  it('is this machine’s unless told, or the one that was asked for', async () => {
    const [amd, arm] = [image('amd'), image('arm', 'linux/arm64')];
    const target = await putIndex('both', [arm, amd]);
    expect(loadImage(store, 'both')).toMatchObject({ target, id: amd.id });
    expect(loadImage(store, 'both', parsePlatform('arm64'))).toMatchObject({ target, id: arm.id });
    expect(loadImage(store, arm.id).id).toBe(arm.id);
    expect(loadImage(store, target.digest).id).toBe(amd.id);
  });

  it('is another where only that is here', async () => {
    const arm = image('arm', 'linux/arm64');
    await putIndex('arm', [arm], [image('amd')]);
    expect(loadImage(store, 'arm').id).toBe(arm.id);
    expect(() => loadImage(store, 'arm', parsePlatform('amd64'))).toThrow(
      failing('not-found', /arm is not here for linux\/amd64, but for linux\/arm64: "tare pull"/),
    );
  });

  it('that there is none of lists those there are', async () => {
    await putIndex('both', [image('amd'), image('arm', 'linux/arm/v7')]);
    expect(() => loadImage(store, 'both', parsePlatform('s390x'))).toThrow(
      failing('not-found', /both is not made for linux\/s390x: there is linux\/amd64, linux\/arm\/v7$/),
    );
    await putImage(store, image('one'), 'one');
    expect(() => loadImage(store, 'one', parsePlatform('arm64'))).toThrow(
      failing('not-found', /there is linux\/amd64$/),
    );
  });
});

describe('what cannot be used', () => {
  it.each<[string, (one: TestImage) => TestImage['manifest'], string, RegExp]>([
    [
      'an artifact',
      ({ manifest }) => ({ ...manifest, config: { ...manifest.config, mediaType: MEDIA.ociEmpty } }),
      'unsupported',
      /is no image that can run/,
    ],
    [
      'a layer of an unknown kind',
      ({ manifest }) => ({ ...manifest, layers: manifest.layers.map((one) => ({ ...one, mediaType: 'x/y' })) }),
      'unsupported',
      /"x\/y", which is no layer/,
    ],
    [
      'a layer too many',
      ({ manifest }) => ({ ...manifest, layers: [...manifest.layers, ...manifest.layers] }),
      'protocol',
      /its manifest has 2 layers, and its config 1/,
    ],
  ])('is %s', async (_, change, code, message) => {
    const one = image('one');
    await putImage(store, one);
    using lease = store.lease();
    const manifest = Buffer.from(JSON.stringify(change(one)));
    await store.names.set(parseReference('bad'), await store.content.put(manifest, MEDIA.ociManifest, lease));
    expect(() => loadImage(store, 'bad')).toThrow(failing(code, message));
  });

  it('is a manifest with both layers and manifests', async () => {
    using lease = store.lease();
    const both = Buffer.from(JSON.stringify({ ...image('one').manifest, manifests: [] }));
    await store.names.set(parseReference('bad'), await store.content.put(both, MEDIA.ociManifest, lease));
    expect(() => loadImage(store, 'bad')).toThrow(failing('protocol', /could be read in two ways/));
    // It is listed all the same: how else would it be removed?
    expect(listImages(store)).toMatchObject([{ fault: expect.stringMatching(/two ways/) }]);
  });

  it('is something else than an image', async () => {
    using lease = store.lease();
    await store.names.set(parseReference('bad'), await store.content.put(Buffer.from('x'), 'text/plain', lease));
    expect(() => loadImage(store, 'bad')).toThrow(
      failing('unsupported', /"text\/plain", which is neither an image nor an index/),
    );
  });

  it('is a manifest that is damaged on disk, or gone', async () => {
    const one = image('one');
    await putImage(store, one, 'one');
    const path = store.content.path(one.manifestDescriptor.digest);
    truncateSync(path, 10);
    expect(() => loadImage(store, 'one')).toThrow(failing('protocol', /is damaged/));
    rmSync(path);
    expect(() => loadImage(store, 'one')).toThrow(failing('not-found', /is not in the image store/));
    writeFileSync(path, 'x');
  });
});

describe('the list', () => {
  it('has a line for each name, the newest first', async () => {
    const old = makeImage([makeLayer([{ path: 'a' }])], { more: { created: '2020-01-01T00:00:00Z' } });
    const young = makeImage([makeLayer([{ path: 'b' }])], { more: { created: '2024-01-01T00:00:00Z' } });
    await putImage(store, old, 'app');
    await putImage(store, young, 'app');
    await store.names.set(parseReference('b/c:1'), young.manifestDescriptor);
    const [first, second, third] = listImages(store);
    expect([first?.reference, second?.reference, third?.reference]).toEqual([
      parseReference('app'),
      parseReference('b/c:1'),
      undefined,
    ]);
    expect(first).toMatchObject({
      id: young.id,
      created: '2024-01-01T00:00:00Z',
      platforms: [{ os: 'linux', architecture: 'amd64' }],
    });
    expect(first?.size).toBe([...young.blobs.values()].reduce((sum, { length }) => sum + length, 0));
    expect(third).toMatchObject({ id: old.id });
  });

  it.each([
    ['debian', 'debian:12', true],
    ['deb*', 'debian:12', true],
    ['*:12', 'debian:12', true],
    ['debian:1?', 'debian:12', true],
    ['docker.io/library/debian', 'debian:12', true],
    ['*', 'a/b:1', false],
    ['*/b', 'a/b:1', true],
    ['d.bian', 'debian:12', false],
    ['x', `x@${digestOf('x')}`, true],
  ])('of %s has %s: %s', (pattern, name, expected) => {
    expect(matchesReference(parseReference(name), pattern)).toBe(expected);
  });
});
