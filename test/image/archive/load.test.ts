/** Archives of all kinds into a store: what real programs write, and what nobody should. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadArchive, loadLayout } from '../../../runtime/image/archive/index.js';
import { readLayout } from '../../../runtime/image/archive/layout.js';
import { loadImage } from '../../../runtime/image/image.js';
import { TarWriter } from '../../../runtime/image/layer/index.js';
import { fullName } from '../../../runtime/image/reference.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { type Descriptor, digestOf, MEDIA } from '../../../runtime/oci/image/index.js';
import { dockerArchive, makeImage, makeLayer, ociArchive, writeLayout } from '../../harness/images.js';
import { type TarEntry, tarOf } from '../../harness/tar.js';

const image = makeImage([makeLayer([{ path: 'a', content: 'A' }]), makeLayer([{ path: 'b', content: 'B' }], 'zstd')], {
  config: { Cmd: ['x'], Labels: { 'a.b': 'c' } },
});
const other = makeImage([makeLayer([{ path: 'a', content: 'A' }], 'none')], { config: { Cmd: ['y'] } });
const hex = (digest: string) => digest.slice(7);

describe('loading archives', () => {
  let folder: string;
  let store: ImageStore;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tare-load-'));
    store = await ImageStore.open(join(folder, 'images'));
  });
  afterAll(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  /** In chunks of odd sizes, as a pipe gives it. */
  const load = (data: Buffer, size = 1000) => loadArchive(store, chunks(data, size));
  const names = (loaded: Awaited<ReturnType<typeof load>>) => loaded.map(({ references }) => references.map(fullName));

  it('takes what docker save writes, with the id that the image had', async () => {
    const loaded = await load(
      dockerArchive([
        { name: 'one:1', image },
        { name: 'localhost:5000/two', image: other },
      ]),
    );
    expect(names(loaded)).toEqual([['docker.io/library/one:1'], ['localhost:5000/two:latest']]);
    expect(loaded.map(({ ids }) => ids)).toEqual([[image.id], [other.id]]);
    const found = loadImage(store, 'one:1');
    expect(found.config).toEqual(image.config);
    expect(found.manifest.layers.map(({ digest }) => digest)).toEqual(image.config.rootfs.diff_ids);
    expect(found.manifest.layers.map(({ mediaType }) => mediaType)).toEqual([MEDIA.ociLayer, MEDIA.ociLayer]);
  });

  it.each([
    ['as it is', (data: Buffer) => data],
    ['packed by gzip', (data: Buffer) => gzipSync(data)],
    ['packed by zstd', (data: Buffer) => execFileSync('zstd', ['-q', '-c'], { input: data })],
  ])('takes an OCI archive %s', async (_, pack) => {
    const loaded = await load(pack(ociArchive([{ name: 'localhost/oci:1', image }, { image: other }])), 7);
    expect(names(loaded)).toEqual([['localhost/oci:1'], []]);
    expect(loaded.map(({ target }) => target.digest)).toEqual([
      image.manifestDescriptor.digest,
      other.manifestDescriptor.digest,
    ]);
    expect(loadImage(store, hex(other.id)).config).toEqual(other.config);
  });

  it('takes a layout in a folder, and only what its index reaches', async () => {
    const layout = join(folder, 'layout');
    writeLayout(layout, [{ name: 'localhost/folder:1', image }]);
    const stray = makeLayer([{ path: 'stray' }]);
    writeFileSync(join(layout, 'blobs/sha256', hex(stray.descriptor.digest)), stray.blob);
    expect(names(await loadLayout(store, layout))).toEqual([['localhost/folder:1']]);
    expect(loadImage(store, 'localhost/folder:1').manifest).toEqual(image.manifest);
    expect(store.content.has(stray.descriptor.digest)).toBe(false);
  });

  it('takes what Docker writes since version 25: both documents, and no blob twice', async () => {
    const manifest = JSON.stringify([
      {
        Config: `blobs/sha256/${hex(other.id)}`,
        RepoTags: ['both:1', 'both:2'],
        Layers: other.layers.map(({ descriptor }) => `blobs/sha256/${hex(descriptor.digest)}`),
      },
    ]);
    const layout = [...other.blobs].map(
      ([digest, content]): TarEntry => ({ path: `blobs/sha256/${hex(digest)}`, content }),
    );
    const index = JSON.stringify({ schemaVersion: 2, manifests: [other.manifestDescriptor] });
    const both: TarEntry[] = [
      { path: 'blobs/' },
      { path: 'blobs/sha256/' },
      ...layout,
      { path: 'manifest.json', content: manifest },
    ];
    const whole = [...both, { path: 'oci-layout', content: '{}' }, { path: 'index.json', content: index }];
    expect(names(await load(tarOf(whole)))).toEqual([['docker.io/library/both:1', 'docker.io/library/both:2']]);
    // And without the layout's own documents, as a reader of the older one sees it.
    expect((await load(tarOf(both)))[0]?.ids).toEqual([other.id]);
  });

  it('follows links between layers within the archive, as older engines wrote them', async () => {
    const layer = other.layers[0] as (typeof other.layers)[0];
    const twice = makeImage([layer, layer]);
    const archive = tarOf([
      { path: './first/layer.tar', content: layer.tar },
      { path: './second/layer.tar', type: 'symlink', target: '../first/layer.tar' },
      { path: './config.json', content: twice.blobs.get(twice.id) as Buffer },
      {
        path: './manifest.json',
        content: JSON.stringify([{ Config: 'config.json', Layers: ['first/layer.tar', 'second/layer.tar'] }]),
      },
    ]);
    expect((await load(archive))[0]?.ids).toEqual([twice.id]);
  });

  it('keeps of an index what is there', async () => {
    const arm = makeImage([makeLayer([{ path: 'arm' }])], { platform: { os: 'linux', architecture: 'arm64' } });
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA.ociIndex,
        manifests: [
          { ...image.manifestDescriptor, platform: { os: 'linux', architecture: 'amd64' } },
          { ...arm.manifestDescriptor, platform: { os: 'linux', architecture: 'arm64' } },
        ],
      }),
    );
    const digest = makeDigest(index);
    const archive = tarOf([
      ...[...image.blobs].map(([one, content]): TarEntry => ({ path: `blobs/sha256/${hex(one)}`, content })),
      { path: `blobs/sha256/${hex(digest)}`, content: index },
      { path: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
      {
        path: 'index.json',
        content: JSON.stringify({
          schemaVersion: 2,
          manifests: [
            {
              mediaType: MEDIA.ociIndex,
              digest,
              size: index.length,
              annotations: {
                'io.containerd.image.name': 'docker.io/library/multi:1',
                'org.opencontainers.image.ref.name': '1',
              },
            },
          ],
        }),
      },
    ]);
    expect(names(await load(archive))).toEqual([['docker.io/library/multi:1']]);
    expect(loadImage(store, 'multi:1').id).toBe(image.id);
    expect(() => loadImage(store, 'multi:1', { os: 'linux', architecture: 'arm64' })).toThrow('linux/arm64');
  });

  it('gives the name that is asked for', async () => {
    const name = { registry: 'localhost', repository: 'mine', tag: '1' };
    await loadArchive(store, chunks(ociArchive([{ image }]), 4096), { name });
    expect(loadImage(store, 'localhost/mine:1').id).toBe(image.id);
    const two = ociArchive([{ image }, { image: other }]);
    await expect(loadArchive(store, chunks(two, 4096), { name })).rejects.toMatchObject({ code: 'usage' });
  });

  const config = { path: 'c.json', content: other.blobs.get(other.id) as Buffer };
  const layer = { path: 'l.tar', content: other.layers[0]?.tar as Buffer };
  const documentOf = (value: unknown) => ({ path: 'manifest.json', content: JSON.stringify(value) });
  const good = documentOf([{ Config: 'c.json', RepoTags: ['evil:1'], Layers: ['l.tar'] }]);

  it.each<[string, TarEntry[], string]>([
    ['a config outside', [layer, documentOf([{ Config: '../../../etc/passwd', Layers: ['l.tar'] }])], 'is not in it'],
    ['an absolute layer', [config, documentOf([{ Config: 'c.json', Layers: ['/etc/passwd'] }])], 'is not in it'],
    ['an entry that leads out', [{ path: '../x', content: 'x' }], 'leads out'],
    ['an absolute entry', [{ path: '/etc/cron.d/x', content: 'x' }], 'leads out'],
    [
      'a link to outside',
      [config, { path: 'l.tar', type: 'symlink', target: '../../etc/passwd' }, good],
      'is not in it',
    ],
    ['a hard link to nothing', [config, { path: 'l.tar', type: 'hardlink', target: 'nothing' }, good], 'is not in it'],
    ['a name without end', [{ path: `${'x/'.repeat(3000)}x`, content: 'x' }], 'longer than 4096'],
    [
      'links in a circle',
      [config, { path: 'l.tar', type: 'symlink', target: 'm' }, { path: 'm', type: 'symlink', target: 'l.tar' }, good],
      'is not in it',
    ],
    [
      'a layer that is not that of the config',
      [config, { path: 'l.tar', content: tarOf([{ path: 'evil' }]) }, good],
      'its config says',
    ],
    ['an entry twice', [config, layer, good, good], 'twice'],
    ['fewer layers than the config', [config, documentOf([{ Config: 'c.json', Layers: [] }])], '0 layers'],
    ['a manifest.json of another shape', [documentOf({ Config: 'c.json' })], 'manifest.json must be'],
    ['a manifest.json that is no JSON', [{ path: 'manifest.json', content: '[{' }], 'no JSON'],
    [
      'a bad name',
      [config, layer, documentOf([{ Config: 'c.json', RepoTags: ['\u001b[31mX'], Layers: ['l.tar'] }])],
      'is no name',
    ],
    ['a blob of another content', [{ path: `blobs/sha256/${'0'.repeat(64)}`, content: 'x' }], 'refused'],
    ['an entry cut off', [{ path: 'l.tar', content: 'x', size: 2 ** 20 }], 'ends within'],
    [
      'more than the disk holds',
      [{ path: 'l.tar', content: 'x', size: 0o77777777777 * 1, pax: { size: String(2 ** 50) } }],
      'free',
    ],
    [
      'an index that names what is not there',
      [
        { path: 'oci-layout', content: '{}' },
        {
          path: 'index.json',
          content: JSON.stringify({
            schemaVersion: 2,
            manifests: [{ ...image.manifestDescriptor, digest: `sha256:${'1'.repeat(64)}` }],
          }),
        },
      ],
      'is not in it',
    ],
    [
      'a root file system',
      [
        { path: 'etc/passwd', content: 'x' },
        { path: 'bin/sh', content: 'x' },
      ],
      'tare import',
    ],
  ])('refuses %s', async (_, entries, why) => {
    const error = await load(tarOf(entries)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ message: expect.stringContaining(why) });
    expect(() => loadImage(store, 'evil:1')).toThrow();
    expect(readdirSync(join(store.root, 'ingest'))).toEqual([]);
    expect(existsSync(join(folder, 'x'))).toBe(false);
  });

  it.each([
    ['nothing', Buffer.alloc(0), 'empty'],
    ['text', Buffer.from('hello\n'.repeat(200)), 'no tar archive'],
    ['xz', Buffer.concat([Buffer.from('fd377a585a000004', 'hex'), Buffer.alloc(100)]), 'xz'],
    ['a damaged gzip stream', Buffer.concat([gzipSync(dockerArchive([{ image }])).subarray(0, 300)]), 'gzip'],
  ])('refuses %s', async (_, data, why) => {
    await expect(load(data)).rejects.toThrow(why);
  });

  it.each([
    ['text', (data: Buffer) => data],
    ['packed text', (data: Buffer) => gzipSync(data)],
  ])('lets go of what it does not take: %s', async (_, pack) => {
    let isOpen = true;
    const source = async function* () {
      try {
        for (;;) yield pack(Buffer.from('hello\n'.repeat(200)));
      } finally {
        isOpen = false;
      }
    };
    await expect(loadArchive(store, source())).rejects.toThrow('no tar archive');
    expect(isOpen).toBe(false);
  });

  it('refuses names of tens of megabytes in all, which would stay in memory', async () => {
    const chunks: Uint8Array[] = [];
    const writer = new TarWriter((bytes) => void chunks.push(bytes));
    const source = async function* () {
      for (let i = 0; i < 10_000; i++) {
        const name = Buffer.from(`${i}/`.padEnd(4000, 'x'));
        await writer.add({ type: 'symlink', name, linkName: name, mode: 0o777 });
        yield* chunks.splice(0);
      }
      await writer.finish();
      yield* chunks;
    };
    const failure = { code: 'busy', message: expect.stringContaining('names of more than') };
    await expect(loadArchive(store, source())).rejects.toMatchObject(failure);
  });

  it('looks once at what an index names a thousand times, which again names a thousand', async () => {
    using lease = store.lease();
    const blobs = new Map<string, Buffer>(image.blobs);
    let below: Descriptor = image.manifestDescriptor;
    for (let depth = 0; depth < 4; depth++) {
      const data = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: Array(20).fill(below) }));
      below = { mediaType: MEDIA.ociIndex, digest: digestOf(data), size: data.length };
      blobs.set(below.digest, data);
    }
    let brought = 0;
    const bring = async ({ digest, mediaType }: Descriptor) => {
      brought++;
      await store.content.put(blobs.get(digest) as Buffer, mediaType, lease);
      return true;
    };
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [below] }));
    const found = await readLayout(index, bring, store, lease);
    expect(found.map(({ target }) => target)).toEqual([below]);
    // Four indexes, a manifest, its config and two layers.
    expect(brought).toBe(8);
  });

  it('does not leave a layout’s folder, nor wait for its pipes', async () => {
    const layout = join(folder, 'hostile');
    writeLayout(layout, [{ name: 'hostile:1', image }]);
    const blob = join(layout, 'blobs/sha256', hex(image.layers[0]?.descriptor.digest as string));
    rmSync(blob);
    execFileSync('mkfifo', [blob]);
    const fresh = await ImageStore.open(join(folder, 'fresh'));
    try {
      await expect(loadLayout(fresh, layout)).rejects.toThrow('is no file');
      rmSync(blob);
      symlinkSync('/etc/passwd', blob);
      await expect(loadLayout(fresh, layout)).rejects.toThrow();
      expect(fresh.names.list()).toEqual([]);
    } finally {
      fresh.close();
    }
  });
});

async function* chunks(data: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

function makeDigest(data: Buffer) {
  return `sha256:${execFileSync('sha256sum', { input: data, encoding: 'utf8' }).slice(0, 64)}` as const;
}
