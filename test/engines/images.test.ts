/**
 * Images between Tare and other engines: dockerd and Podman load what Tare saves and Tare loads what they save, with the ids that they had; and what
 * they unpack is equal to what Tare unpacks.
 */
import { createReadStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadArchive, loadLayout, saveArchive, saveLayout } from '../../runtime/image/archive/index.js';
import { loadImage } from '../../runtime/image/image.js';
import { chainIdsOf } from '../../runtime/image/snapshot/index.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import { DEBIAN, putDebian } from '../harness/debian.js';
import { putImage } from '../harness/images.js';
import { type DiffOptions, describeTree, diffTrees } from '../harness/tree.js';
import { LINK_TO_BELOW, richImages, treeOf } from '../image/interop/unpacked.js';
import { Docker } from './docker.js';
import { Place } from './engine.js';

const images = richImages();
const NAMES = ['rich:1', 'rich:2', DEBIAN];

async function makeStore(folder: string, withDebian = true): Promise<ImageStore> {
  const store = await ImageStore.open(folder);
  await putImage(store, images.one, 'rich:1');
  await putImage(store, images.two, 'rich:2');
  if (withDebian) await putDebian(store);
  return store;
}

async function saveTo(store: ImageStore, path: string, format: 'docker' | 'oci', names = NAMES): Promise<void> {
  const file = await open(path, 'w');
  try {
    await saveArchive(store, names, format, async (chunk) => void (await file.writeFile(chunk)));
  } finally {
    await file.close();
  }
}

/** Copies of folders, which is what "vfs" has as layers, keep no attributes of users. An overlay's links do not reach into the layer below. */
const ignore: DiffOptions['ignore'] = (path, field, entry) =>
  // They write into the root after it has got its time.
  (path === '.' && field === 'mtimeNs') ||
  (path === LINK_TO_BELOW && field === 'sameAs') ||
  (field === 'xattrs' && Object.keys(entry.xattrs).every((name) => name.startsWith('user.')));

describe('dockerd', { timeout: 600_000 }, () => {
  let docker: Docker;
  let store: ImageStore;
  const path = (name: string) => join(docker.place.folder, name);
  beforeAll(async () => {
    docker = await Docker.open('images-docker');
    store = await makeStore(path('tare'));
  }, 600_000);
  afterAll(async () => {
    store?.close();
    await docker?.place.close();
  });

  /** The folder of the uppermost layer, which is a copy of those below and itself. */
  const unpackedByDocker = async (name: string) => {
    const diffIds = JSON.parse(await docker.inspect(name, '{{json .RootFS.Layers}}'));
    const chainId = chainIdsOf(diffIds).at(-1) as string;
    const layer = path(`data/image/vfs/layerdb/${chainId.replace(':', '/')}`);
    return describeTree(path(`data/vfs/dir/${readFileSync(join(layer, 'cache-id'), 'utf8')}`));
  };

  it('loads what Tare saves, with the same ids, and unpacks the same', async () => {
    await saveTo(store, path('images.tar'), 'docker');
    await docker.ok('load', '--input', path('images.tar'));
    for (const name of NAMES) {
      expect(await docker.inspect(name, '{{.Id}}')).toBe(loadImage(store, name).id);
      expect(diffTrees(await treeOf(store, name), await unpackedByDocker(name), { ignore })).toEqual([]);
    }
  });

  it('saves what Tare loads, with the same ids', async () => {
    await docker.ok('tag', DEBIAN, 'localhost/again:1');
    await docker.ok('save', '--output', path('saved.tar'), 'rich:2', 'localhost/again:1');
    const second = await ImageStore.open(path('second'));
    try {
      await loadArchive(second, createReadStream(path('saved.tar')));
      expect(loadImage(second, 'rich:2').id).toBe(loadImage(store, 'rich:2').id);
      expect(loadImage(second, 'localhost/again:1').id).toBe(loadImage(store, DEBIAN).id);
      expect(diffTrees(await treeOf(second, 'rich:2'), await treeOf(store, 'rich:2'))).toEqual([]);
    } finally {
      second.close();
    }
  });

  it('builds what Tare unpacks as it does', async () => {
    const context = path('context');
    const script = `
      set -e; mkdir -p "$1/tree/sub"; cd "$1"; tar -C "$2" -cf rootfs.tar .
      echo file > tree/file; ln tree/file tree/linked; ln -s file tree/link; chmod 4711 tree/file; echo sub > tree/sub/deep
      touch -d @1234567890.5 tree/sub/deep tree/sub; mkfifo tree/sub/pipe; rm tree/sub/pipe
      setcap cap_net_raw+ep tree/sub/deep`;
    mkdirSync(context);
    await docker.place.ok(['bash', '-c', script, 'bash', context, docker.place.rootfs]);
    const dockerfile = [
      'FROM scratch',
      'ADD rootfs.tar /',
      'COPY tree /srv/tree',
      'COPY --chown=1000:2000 tree/file /home/own',
      'ENV A=b',
      'WORKDIR /made/by/workdir',
      'CMD ["sh"]',
    ];
    writeFileSync(join(context, 'Dockerfile'), dockerfile.join('\n'));
    await docker.ok('build', '--tag', 'built', context);
    await docker.ok('save', '--output', path('built.tar'), 'built');
    await loadArchive(store, createReadStream(path('built.tar')));
    const image = loadImage(store, 'built');
    expect(image.id).toBe(await docker.inspect('built', '{{.Id}}'));
    expect(image.config.config).toMatchObject({ Cmd: ['sh'], WorkingDir: '/made/by/workdir' });
    const ours = await treeOf(store, 'built');
    expect(ours.get('home/own')).toMatchObject({ uid: 1000, gid: 2000, mode: 0o711 });
    expect(diffTrees(ours, await unpackedByDocker('built'), { ignore })).toEqual([]);
  });
});

describe('podman', { timeout: 600_000 }, () => {
  let place: Place;
  let store: ImageStore;
  const path = (name: string) => join(place.folder, name);
  beforeAll(async () => {
    place = await Place.open('pod-im');
    store = await makeStore(path('tare'), false);
  }, 600_000);
  afterAll(async () => {
    store?.close();
    await place?.close();
  });
  const podman = (...args: string[]) =>
    place.ok([
      // Of a layout in a folder it makes a name out of the path, which must not have capitals then.
      ...['sh', '-c', 'cd "$1" && shift && exec "$@"', 'sh', place.folder],
      ...['podman', '--root', path('data'), '--runroot', path('run'), '--tmpdir', path('tmp')],
      ...['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file', ...args],
    ]);

  // The docker archive is the last: what it loads stays for the tests below.
  it.each(['oci', 'oci-dir', 'docker'] as const)(
    'loads what Tare saves as %s, and unpacks the same',
    async (format) => {
      const archive = path(`images-${format}`);
      const names = format === 'docker' ? ['rich:1', 'rich:2'] : ['rich:2'];
      if (format === 'oci-dir') {
        mkdirSync(archive);
        await saveLayout(store, names, archive);
      } else {
        await saveTo(store, archive, format, names);
      }
      await podman('load', '--quiet', '--input', `images-${format}`);
      for (const name of names) {
        const { id } = loadImage(store, name);
        // From a folder Podman takes its path for the name.
        if (format !== 'oci-dir') await podman('image', 'exists', name);
        expect(`sha256:${await podman('image', 'inspect', '--format', '{{.Id}}', id.slice(7))}`).toBe(id);
        const stored = JSON.parse(readFileSync(path('data/vfs-images/images.json'), 'utf8')) as {
          id: string;
          layer: string;
        }[];
        const top = stored.find((one) => `sha256:${one.id}` === id)?.layer as string;
        expect(diffTrees(await treeOf(store, name), describeTree(path(`data/vfs/dir/${top}`)), { ignore })).toEqual([]);
        if (format !== 'docker') await podman('rmi', '--force', id.slice(7));
      }
    },
  );

  it.each(['docker-archive', 'oci-archive', 'oci-dir'])('saves as %s what Tare loads', async (format) => {
    const saved = path(`saved-${format}`);
    await podman('save', '--quiet', '--format', format, '--output', saved, 'rich:2');
    const second = await ImageStore.open(path(`second-${format}`));
    try {
      const loaded =
        format === 'oci-dir' ? await loadLayout(second, saved) : await loadArchive(second, createReadStream(saved));
      const id = loaded[0]?.ids[0] as string;
      expect(loadImage(second, id).config.rootfs).toEqual(images.two.config.rootfs);
      // For the OCI's formats Podman writes the config anew.
      if (format === 'docker-archive') expect(id).toBe(images.two.id);
      expect(diffTrees(await treeOf(second, id), await treeOf(store, 'rich:2'))).toEqual([]);
    } finally {
      second.close();
    }
  });
});
