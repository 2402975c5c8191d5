/** What `tare save` writes can be loaded again, by Tare and by others, and is the same each time; `tare import` makes what was given to it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changedConfig } from '../../../runtime/image/archive/changes.js';
import {
  importRootfs,
  loadArchive,
  loadLayout,
  saveArchive,
  saveLayout,
} from '../../../runtime/image/archive/index.js';
import { loadImage } from '../../../runtime/image/image.js';
import { fullName } from '../../../runtime/image/reference.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { digestOf, MEDIA } from '../../../runtime/oci/image/index.js';
import { makeImage, makeLayer, putImage, type TestImage } from '../../harness/images.js';
import { tarOf } from '../../harness/tar.js';

const shared = makeLayer([{ path: 'shared', content: 'S' }], 'gzip');
const one = makeImage([shared, makeLayer([{ path: 'b', content: 'B' }], 'zstd')], { config: { Cmd: ['x'] } });
const two = makeImage([shared], { config: { Cmd: ['y'] } });

describe('saving images', () => {
  let folder: string;
  let store: ImageStore;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tare-save-'));
    store = await ImageStore.open(join(folder, 'images'));
    await putImage(store, one, 'one:1');
    await putImage(store, one, 'localhost:5000/also/one:2');
    await putImage(store, two, 'two');
  });
  afterAll(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  const save = async (names: string[], format: 'docker' | 'oci') => {
    const parts: Uint8Array[] = [];
    await saveArchive(store, names, format, async (chunk) => void parts.push(Buffer.from(chunk)));
    return Buffer.concat(parts);
  };
  /** Into a new store, which `use` looks at. */
  const loaded = async <T>(
    fill: (fresh: ImageStore) => Promise<unknown>,
    use: (fresh: ImageStore) => T,
  ): Promise<T> => {
    const fresh = await ImageStore.open(mkdtempSync(join(folder, 'fresh-')));
    try {
      await fill(fresh);
      return use(fresh);
    } finally {
      fresh.close();
    }
  };
  const namesIn = (fresh: ImageStore) =>
    fresh.names
      .list()
      .map(({ reference }) => reference && fullName(reference))
      .sort();

  it.each(['docker', 'oci'] as const)('as %s: what is loaded again is what it was', async (format) => {
    const data = await save(['one:1', 'localhost:5000/also/one:2', 'two'], format);
    await loaded(
      (fresh) => loadArchive(fresh, stream([data])),
      (fresh) => {
        expect(namesIn(fresh)).toEqual([
          'docker.io/library/one:1',
          'docker.io/library/two:latest',
          'localhost:5000/also/one:2',
        ]);
        expect(loadImage(fresh, 'one:1').id).toBe(one.id);
        expect(loadImage(fresh, 'localhost:5000/also/one:2').id).toBe(one.id);
        expect(loadImage(fresh, 'two').id).toBe(two.id);
        if (format === 'oci') expect(loadImage(fresh, 'one:1').manifest).toEqual(one.manifest);
      },
    );
    expect((await save(['one:1', 'localhost:5000/also/one:2', 'two'], format)).equals(data)).toBe(true);
  });

  it('as docker: layers are plain archives, each once, as docker load takes them', async () => {
    const path = join(folder, 'docker.tar');
    writeFileSync(path, await save(['one:1', 'two'], 'docker'));
    const list = execFileSync('tar', ['-tf', path], { encoding: 'utf8' }).split('\n');
    expect(list.filter((name) => name.endsWith('/layer.tar'))).toHaveLength(2);
    const read = (name: string) => execFileSync('tar', ['-xOf', path, name]);
    const manifest = JSON.parse(read('manifest.json').toString());
    expect(manifest.map(({ RepoTags }: { RepoTags: string[] }) => RepoTags)).toEqual([['one:1'], ['two:latest']]);
    expect(manifest[0].Layers[0]).toBe(manifest[1].Layers[0]);
    expect(read(manifest[0].Layers[0]).equals(shared.tar)).toBe(true);
    expect(digestOf(read(manifest[0].Config))).toBe(one.id);
  });

  it('as a folder', async () => {
    const layout = join(folder, 'layout');
    mkdirSync(layout);
    await saveLayout(store, ['one:1'], layout);
    const inspected = execFileSync('skopeo', ['inspect', '--raw', `oci:${layout}:docker.io/library/one:1`]);
    expect(digestOf(inspected)).toBe(one.manifestDescriptor.digest);
    await loaded(
      (fresh) => loadLayout(fresh, layout),
      (fresh) => expect(namesIn(fresh)).toEqual(['docker.io/library/one:1']),
    );
  });

  it('by id there is no name', async () => {
    const data = await save([two.id.slice(7, 20)], 'docker');
    const list = await loaded(
      (fresh) => loadArchive(fresh, stream([data])),
      (fresh) => [namesIn(fresh), loadImage(fresh, two.id).config],
    );
    expect(list).toEqual([[undefined], two.config]);
  });

  it('of several platforms: the whole index as oci, one of them as docker', async () => {
    const arm = makeImage([makeLayer([{ path: 'arm' }])], { platform: { os: 'linux', architecture: 'arm64' } });
    await putIndex(store, [two, arm], 'multi:1');
    await loaded(
      async (fresh) => loadArchive(fresh, stream([await save(['multi:1'], 'oci')])),
      (fresh) => {
        expect(loadImage(fresh, 'multi:1', { os: 'linux', architecture: 'arm64' }).id).toBe(arm.id);
        expect(loadImage(fresh, 'multi:1', { os: 'linux', architecture: 'amd64' }).id).toBe(two.id);
      },
    );
    const parts: Uint8Array[] = [];
    const platform = { os: 'linux', architecture: 'arm64' };
    await saveArchive(store, ['multi:1'], 'docker', async (chunk) => void parts.push(Buffer.from(chunk)), { platform });
    await loaded(
      (fresh) => loadArchive(fresh, stream(parts)),
      (fresh) => expect(loadImage(fresh, 'multi:1').id).toBe(arm.id),
    );
  });

  it('refuses to write a layer that is not what its config says', async () => {
    const [layer] = makeImage([makeLayer([{ path: 'good' }])]).layers;
    const evil = makeImage([{ ...(layer as NonNullable<typeof layer>), diffId: digestOf('other') }]);
    await putImage(store, evil, 'evil:1');
    await expect(save(['evil:1'], 'docker')).rejects.toThrow('is not what its config says');
  });

  it('says which image is not there', async () => {
    await expect(save(['no-such:1'], 'docker')).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('importing a root file system', () => {
  let store: ImageStore;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tare-import-'));
    store = await ImageStore.open(folder);
  });
  afterAll(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });
  const tar = tarOf([{ path: 'etc/' }, { path: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\n'.repeat(5000) }]);
  const name = { registry: 'localhost', repository: 'mine', tag: '1' };

  it.each([
    ['plain', tar, MEDIA.ociLayerGzip],
    ['packed by gzip', gzipSync(tar), MEDIA.ociLayerGzip],
    ['packed by zstd', execFileSync('zstd', ['-qc'], { input: tar }), MEDIA.ociLayerZstd],
  ])('%s: one layer, with the right digest of what is in it', async (_, data, mediaType) => {
    await importRootfs(store, stream([data.subarray(0, 100), data.subarray(100)]), { names: [name], message: 'why' });
    const { manifest, config } = loadImage(store, 'localhost/mine:1');
    expect(manifest.layers.map((layer) => layer.mediaType)).toEqual([mediaType]);
    expect(config.rootfs.diff_ids).toEqual([digestOf(tar)]);
    expect(config.history).toMatchObject([{ comment: 'why' }]);
    const blob = readFileSync(store.content.path(manifest.layers[0]?.digest as ReturnType<typeof digestOf>));
    if (mediaType === MEDIA.ociLayerGzip) expect(gunzipSync(blob).equals(tar)).toBe(true);
  });

  it.each([
    ['text', Buffer.from('hello '.repeat(500)), 'no tar archive'],
    ['an archive that is cut off', tar.subarray(0, 4096), 'ends within'],
    ['a packed one that is cut off', gzipSync(tar).subarray(0, 200), 'gzip'],
    ['a zip archive', Buffer.from('504b0304'.padEnd(2000, '0'), 'hex'), 'zip'],
  ])('refuses %s', async (_, data, why) => {
    await expect(importRootfs(store, stream([data]), { names: [{ ...name, tag: 'bad' }] })).rejects.toThrow(why);
    expect(() => loadImage(store, 'localhost/mine:bad')).toThrow('there is no image');
  });

  it('--change is the Dockerfile’s language', () => {
    const { config, author } = changedConfig([
      'ENV A=b C="d e"',
      'CMD ["sh", "-c", "echo $A"]',
      'entrypoint exec top',
      'WORKDIR /$A',
      'USER nobody',
      'EXPOSE 80 53/udp',
      'LABEL x=y',
      'VOLUME /data',
      'STOPSIGNAL SIGINT',
      'MAINTAINER me',
    ]);
    expect(config).toMatchObject({
      Env: ['A=b', 'C=d e'],
      Cmd: ['sh', '-c', 'echo $A'],
      Entrypoint: ['/bin/sh', '-c', 'exec top'],
      WorkingDir: '/b',
      User: 'nobody',
      ExposedPorts: { '80/tcp': {}, '53/udp': {} },
      Labels: { x: 'y' },
      Volumes: { '/data': {} },
      StopSignal: 'SIGINT',
    });
    expect(author).toBe('me');
    expect(() => changedConfig(['RUN true'])).toThrow('changes files');
    for (const [line, why] of [
      ['NONSENSE x', /^--change NONSENSE x: there is no instruction "NONSENSE"$/],
      ['ENV A', /^--change ENV A: ENV needs a value: A=…$/],
      ['EXPOSE x', /^--change EXPOSE x: "x" is no port: [^\n]*$/],
    ] as const)
      expect(() => changedConfig(['CMD a \\\n b', line])).toThrow(
        expect.objectContaining({ message: expect.stringMatching(why) }),
      );
  });
});

async function* stream(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function putIndex(store: ImageStore, images: readonly TestImage[], name: string): Promise<void> {
  for (const image of images) await putImage(store, image);
  using lease = store.lease();
  const manifests = images.map(({ manifestDescriptor, config: { os, architecture } }) => ({
    ...manifestDescriptor,
    platform: { os, architecture },
  }));
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests }));
  const target = await store.content.put(index, MEDIA.ociIndex, lease);
  await store.names.set(
    { registry: 'docker.io', repository: 'library/multi', tag: name.split(':')[1] as string },
    target,
  );
}
