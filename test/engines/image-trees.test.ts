/**
 * An image under Tare and under Docker with runc: a container of it has the same tree, seen from outside while it sleeps and in everything that a
 * file system keeps; and what a program finds at its beginning is the same.
 */
import { chmodSync, createReadStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadArchive, saveArchive } from '../../runtime/image/archive/index.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import { DEBIAN, putDebian } from '../harness/debian.js';
import { type DiffOptions, describeTree, diffTrees, type Tree, type TreeEntry } from '../harness/tree.js';
import { until } from '../harness/until.js';
import { Docker } from './docker.js';
import { putTableImages, TABLE } from './image-table.js';

/** The first of the users that a container in a user namespace has. */
const FIRST = 300_000;

let docker: Docker;
let store: ImageStore;
const path = (name: string) => join(docker.place.folder, name);

beforeAll(async () => {
  // The last of options that are given twice counts.
  docker = await Docker.open('image-trees', ['--default-runtime', 'runc', '--storage-driver', 'overlay2']);
  // Users of a user namespace must get to the layers.
  chmodSync(docker.place.world.folder, 0o711);
  store = await ImageStore.open(join(docker.place.world.folder, 'root/images'));
}, 120_000);
afterAll(async () => {
  store?.close();
  if (docker)
    for (const name of ['images', 'containers'])
      rmSync(join(docker.place.world.folder, 'root', name), { recursive: true, force: true });
  await docker?.place.close();
});

/** Root file system of the process that the world calls so. */
function treeOf(pid: number): Tree {
  return describeTree(`/proc/${docker.place.world.pid}/root/proc/${pid}/root/`, { oneFileSystem: true });
}

async function treeUnderDocker(image: string): Promise<Tree> {
  await docker.ok('run', '--detach', '--name', 'tree', '--network', 'none', '--entrypoint', '', image, 'sleep', '1000');
  try {
    return treeOf(Number(await docker.inspect('tree', '{{.State.Pid}}')));
  } finally {
    await docker.ok('rm', '--force', '--volumes', 'tree');
  }
}

async function treeUnderTare(image: string, ...options: string[]): Promise<Tree> {
  const { world } = docker.place;
  const state = join(world.folder, 'state/tree/state.json');
  const running = world.tare(['run', '--name', 'tree', '--entrypoint', '', ...options, image, 'sleep', '1000']);
  try {
    const read = () => JSON.parse(readFileSync(state, 'utf8')) as { status: string; init: { pid: number } };
    await until(() => existsSync(state) && read().status === 'running');
    return treeOf(read().init.pid);
  } finally {
    await docker.place.ok(['tare', 'delete', '--force', 'tree']);
    await running;
  }
}

/** As the container itself sees it, whose users are these of the host: its owners, and its root's capabilities. capabilities(7), "Namespaced file capabilities" */
function unmapped(tree: Tree): Tree {
  const unmap = ([name, entry]: [string, TreeEntry]): [string, TreeEntry] => {
    const { 'security.capability': capability, ...others } = entry.xattrs;
    const xattrs = capability === undefined ? others : { ...others, 'security.capability': ofItsRoot(capability) };
    return [name, { ...entry, uid: entry.uid - FIRST, gid: entry.gid - FIRST, xattrs }];
  };
  return new Map([...tree].map(unmap));
}

/** Revision 3 has the user for whose root it is as its last word; revision 2 has none. linux/capability.h */
function ofItsRoot(capability: string): string {
  const value = Buffer.from(capability, 'latin1');
  expect([value.length, value[3], value.readUInt32LE(20)]).toEqual([24, 3, FIRST]);
  value[3] = 2;
  return value.subarray(0, 20).toString('latin1');
}

/** Docker puts these into every container, which sets the times of their folders; a runtime makes the folders that it mounts on. */
const DOCKERS_OWN = ['.dockerenv', 'etc/hostname', 'etc/hosts', 'etc/mtab', 'etc/resolv.conf'];
const ignore: DiffOptions['ignore'] = (name, field) =>
  DOCKERS_OWN.includes(name) || (field === 'mtimeNs' && ['.', 'etc'].includes(name));

describe('a container’s tree', { timeout: 600_000 }, () => {
  it('of a Debian that mmdebstrap made', async () => {
    await putDebian(store);
    await saveTo(path('debian.tar'), DEBIAN);
    await docker.ok('load', '--input', path('debian.tar'));
    await compare(DEBIAN, 3000);
  });

  it('of an image that `docker build` made', async () => {
    const script = `
      set -e; mkdir -p "$1/tree/sub"; cd "$1"; tar -C "$2" -cf rootfs.tar .
      echo file > tree/file; ln tree/file tree/linked; ln -s file tree/link; chmod 4711 tree/file; echo sub > tree/sub/deep
      touch -d @1234567890.5 tree/sub/deep tree/sub
      mkdir more; cp tree/file more/capable; setcap cap_net_raw+ep more/capable
      tar -C more --xattrs --xattrs-include='*' -cf more.tar capable`;
    const context = path('context');
    mkdirSync(context);
    await docker.place.ok(['bash', '-c', script, 'bash', context, docker.place.rootfs]);
    const dockerfile = [
      'FROM scratch',
      'ADD rootfs.tar /',
      // Docker's COPY takes capabilities away.
      'ADD more.tar /srv',
      'COPY tree /srv/tree',
      'COPY --chown=1000:2000 tree/file /home/own',
      // What a layer removes, turns into something else, links, and makes of devices.
      'RUN mkdir -p /a/b /gone && echo x > /a/b/x && echo y > /gone/y && mkdir /turned && mknod /srv/null c 1 3 && ln /a/b/x /a/y',
      'RUN rm -r /gone && rmdir /turned && ln -s /srv /turned && rm -r /a/b && mkdir /a/b && echo z > /a/b/z && chown -h 5:6 /turned',
      'RUN mkfifo /srv/pipe || mknod /srv/pipe p; chmod 2755 /srv/tree/sub && mv /srv/tree/link /srv/tree/moved',
      'WORKDIR /made/by/workdir',
      'CMD ["sh"]',
    ];
    writeFileSync(join(context, 'Dockerfile'), dockerfile.join('\n'));
    await docker.ok('build', '--network', 'none', '--tag', 'localhost/built:1', context);
    await docker.ok('save', '--output', path('built.tar'), 'localhost/built:1');
    await loadArchive(store, createReadStream(path('built.tar')));
    const tree = await compare('localhost/built:1', 20);
    expect(tree.get('srv/null')).toMatchObject({ type: 'character', device: '1:3' });
    expect(tree.get('home/own')).toMatchObject({ uid: 1000, gid: 2000, mode: 0o711 });
    expect(tree.get('srv/capable')?.xattrs).toHaveProperty(['security.capability']);
    expect([tree.has('gone'), tree.has('a/b/x'), tree.get('turned')?.target]).toEqual([false, false, '/srv']);
  });

  async function compare(name: string, entries: number): Promise<Tree> {
    const [theirs, ours] = [await treeUnderDocker(name), await treeUnderTare(name)];
    expect(ours.size).toBeGreaterThan(entries);
    expect(diffTrees(ours, theirs, { ignore })).toEqual([]);
    const mapped = await treeUnderTare(name, '--userns', String(FIRST));
    expect(diffTrees(unmapped(mapped), ours, { ignore: (name, field) => name === '.' && field === 'mtimeNs' })).toEqual(
      [],
    );
    return ours;
  }

  async function saveTo(archive: string, name: string): Promise<void> {
    const file = await open(archive, 'w');
    try {
      await saveArchive(store, [name], 'docker', async (chunk) => void (await file.writeFile(chunk)));
    } finally {
      await file.close();
    }
  }
});

describe('a program of an image', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    await putTableImages(store, path('table.tar'));
    await docker.ok('load', '--input', path('table.tar'));
    // What is unpacked is told of once.
    await docker.place.ok(['tare', 'run', '--entrypoint', 'true', 'localhost/rich:1']);
  }, 120_000);

  it.each(TABLE)('%s', async (_, options, words) => {
    const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
    const [theirs, ours] = [
      await docker.call(['run', '--rm', '--network', 'none', ...limits, '--hostname', 'box', ...options, ...words]),
      await docker.place.world.tare(['run', '--hostname', 'box', ...options, ...words]),
    ];
    expect(ours).toEqual(theirs);
  });
});
