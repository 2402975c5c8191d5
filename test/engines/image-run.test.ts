/** What a program of an image finds is what it finds under Podman: its command, environment, working directory, user and groups. */
import { chmodSync, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveArchive } from '../../runtime/image/archive/index.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import { busyboxImage, makeLayer, putImage } from '../harness/images.js';
import { makeWorld, type World } from '../harness/world.js';

// By number: Podman gives names to users that the image does not have. Not `.`: the mode of a root that no layer names is each engine's own.
const LOOK =
  'env | sort; id -u; id -g; id -G; pwd; stat -c "%u:%g %a" /srv; cat /srv/data 2>&1; grep -c " /srv " /proc/self/mountinfo';

describe('an image', { timeout: 300_000 }, () => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld('engine-image-run');
    chmodSync(world.folder, 0o755);
    await world.run(['sh', '-c', 'mount -t tmpfs tmpfs /run && mkdir /run/lock && ip link set lo up']);
    using store = await ImageStore.open(join(world.folder, 'root/images'));
    const layer = makeLayer([
      { path: 'srv/', uid: 1000, gid: 2000, mode: 0o2750 },
      { path: 'srv/data', content: 'of the image\n' },
      { path: 'opt/' },
    ]);
    const rich = {
      Env: ['PATH=/bin', 'A=1', 'EMPTY=', 'B=x=y z'],
      User: 'user',
      WorkingDir: '/work/dir',
      Entrypoint: ['sh', '-c'],
      Cmd: [LOOK],
      Volumes: { '/srv': {} },
    };
    await putImage(store, busyboxImage({ config: rich }, [layer]), 'localhost/rich:1');
    await putImage(store, busyboxImage({ config: { Cmd: ['sh', '-c', LOOK] } }, [layer]), 'localhost/plain:1');
    const archive = join(world.folder, 'images.tar');
    const file = createWriteStream(archive);
    await saveArchive(
      store,
      ['localhost/rich:1', 'localhost/plain:1'],
      'docker',
      (chunk) =>
        new Promise<void>((resolve, reject) => file.write(chunk, (error) => (error ? reject(error) : resolve()))),
    );
    await new Promise<void>((resolve) => file.end(resolve));
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

  it.each<[string, string[], string[]]>([
    ['with a user, volumes and a working directory', [], ['localhost/rich:1']],
    ['with nothing but a command', [], ['localhost/plain:1']],
    ['with variables of the caller', ['-e', 'A=2', '-e', 'C=3', '-e', 'HOME=/elsewhere'], ['localhost/rich:1']],
    ['as root', ['-u', 'root'], ['localhost/rich:1']],
    ['as a user by number', ['-u', '1000'], ['localhost/plain:1']],
    ['as a user with a group', ['-u', 'user:extra'], ['localhost/plain:1']],
    ['as numbers that nobody has', ['-u', '4000:5000'], ['localhost/plain:1']],
    ['as a number that nobody has', ['-u', '4000'], ['localhost/plain:1']],
    ['in another folder', ['-w', '/opt'], ['localhost/rich:1']],
    ['with another command', [], ['localhost/rich:1', 'id; echo "$0"']],
    ['with another entrypoint', ['--entrypoint', 'id'], ['localhost/rich:1', '-u']],
  ])('%s', async (_, options, words) => {
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
