/** What a program of an image finds is what it finds under Podman: its command, environment, working directory, user and groups. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStore } from '../../runtime/image/store/index.js';
import { makeWorld, type World } from '../harness/world.js';
import { putTableImages, TABLE } from './image-table.js';

describe('an image', { timeout: 300_000 }, () => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld('engine-image-run');
    chmodSync(world.folder, 0o755);
    await world.run(['sh', '-c', 'mount -t tmpfs tmpfs /run && mkdir /run/lock && ip link set lo up']);
    using store = await ImageStore.open(join(world.folder, 'root/images'));
    const archive = join(world.folder, 'images.tar');
    await putTableImages(store, archive);
    const loaded = await podman('load', '--quiet', '--input', archive);
    if (loaded.status !== 0) throw new Error(loaded.stderr);
    // What is unpacked is told of once.
    await world.tare(['run', 'localhost/rich:1']);
  }, 300_000);
  afterAll(() => world.close());

  const podman = (...args: string[]) => {
    const folder = (name: string) => join(world.folder, 'podman', name);
    const places = ['--root', folder('data'), '--runroot', '/run/podman', '--tmpdir', '/run/podman-tmp'];
    const machine = ['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'];
    return world.run(['podman', ...places, ...machine, '--runtime', 'runc', ...args]);
  };
  /** This machine has no bridge, its cgroup is the test's, and limits are the caller's. */
  const OPTIONS = () => [
    '--network',
    'none',
    '--log-driver',
    'none',
    '--cgroup-parent',
    world.cgroup,
    '--ulimit',
    'nofile=1024:1024',
    '--ulimit',
    'nproc=1024:1024',
  ];

  it.each(TABLE)('%s', async (_, options, words) => {
    const [theirs, ours] = [
      await podman('run', '--rm', ...OPTIONS(), '--hostname', 'box', ...options, ...words),
      await world.tare(['run', '--hostname', 'box', ...options, ...words]),
    ];
    expect(theirs.stderr).toBe('');
    // Podman says its name, and gives every container a kind of terminal.
    const lines = theirs.stdout.replace(/^(container=podman|TERM=xterm)\n/gm, '');
    expect(ours).toEqual({ status: theirs.status, stdout: lines, stderr: '' });
  });
});
