/**
 * Podman of a user who is not root. It makes a user namespace, in which it is root, and runs the runtime there: so the runtime is user 0
 * who may make no device, set no limit, and whose states are the user's.
 */
import { chownSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publicCopy } from '../harness/public-copy.js';
import { Place } from './engine.js';

/** `daemon`, to whom the place gives ids from 100000 on. */
const UID = 1;
const copy = publicCopy();
const runtime = process.env.RUNTIME || join(dirname(copy.tare), 'tare-oci');

let place: Place;
/** Podman of the user, who is in these groups, or in none but their own. */
let commandIn: (groups: string, ...args: readonly string[]) => string[];
const command = (...args: readonly string[]) => commandIn('--clear-groups', ...args);

/** What the container writes. */
const sh = (options: readonly string[], script: string) =>
  place.ok(command('run', '--rm', '--network', 'none', ...options, 'box', 'sh', '-c', script));

beforeAll(async () => {
  place = await Place.open('podless');
  const folder = (name: string, mode: number) => {
    const path = join(place.folder, name);
    mkdirSync(path, { mode });
    chownSync(path, UID, UID);
    return path;
  };
  const [home, temporary] = [folder('home', 0o700), folder('user-tmp', 0o700)];
  // Podman takes no longer a path for what runs.
  const run = '/run/daemon';
  await place.ok(['install', '--directory', '--mode', '700', '--owner', `${UID}`, '--group', `${UID}`, run]);
  const user = ['setpriv', `--reuid=${UID}`, `--regid=${UID}`];
  const env = [
    'env',
    '-i',
    '-C',
    home,
    `HOME=${home}`,
    `XDG_RUNTIME_DIR=${run}`,
    `TMPDIR=${temporary}`,
    `PATH=${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin`,
  ];
  const places = ['--root', join(home, 'data'), '--runroot', join(run, 'run'), '--tmpdir', join(run, 'tmp')];
  const machine = ['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'];
  commandIn = (groups, ...args) => [
    ...user,
    groups,
    ...env,
    'podman',
    ...places,
    ...machine,
    '--runtime',
    runtime,
    ...args,
  ];
  await place.ok(command('import', place.image, 'box'));
}, 180_000);

afterAll(async () => {
  // The process that holds the user namespace.
  await place.run(command('system', 'migrate'));
  await place.close();
  copy[Symbol.dispose]();
});

describe('podman of a user who is not root', { timeout: 180_000 }, () => {
  it('runs a container in the namespace that podman made', async () => {
    const said = await sh([], 'id -u; tr -s " " < /proc/self/uid_map; echo x > /dev/null; stat -c %t:%T /dev/zero');
    expect(said.split('\n').map((line) => line.trim())).toEqual(['0', '0 1 1', '1 100000 65536', '1:5']);
  });

  it('runs it as another user, with ids of its own, and as the user that they are', async () => {
    expect(await sh(['--user', '5:6'], 'id -u; id -g; id -G')).toBe('5\n6\n6');
    expect(await sh(['--userns', 'keep-id'], 'id -u')).toBe(String(UID));
    expect((await sh(['--uidmap', '0:1:100', '--gidmap', '0:1:100'], 'cat /proc/self/uid_map')).trim()).toMatch(
      /^0 +1 +100$/,
    );
  });

  it('keeps the groups of the user where that is asked for, and drops them where not', async () => {
    const groups = (...options: readonly string[]) =>
      place.ok(commandIn('--groups=70001,70002', 'run', '--rm', '--network', 'none', ...options, 'box', 'id', '-G'));
    expect(await groups('--group-add', 'keep-groups')).toBe('0 65534 65534');
    expect(await groups('--group-add', '7')).toBe('0 7');
  });

  it('shows the host’s network and its /sys where that is asked for', async () => {
    const options = [
      'run',
      '--rm',
      '--network',
      'host',
      'box',
      'sh',
      '-c',
      'ls -d /sys/class/net/lo; readlink /proc/self/ns/net',
    ];
    const [link, network] = (await place.ok(command(...options))).split('\n');
    expect(link).toBe('/sys/class/net/lo');
    expect(network).toBe(await place.ok(['readlink', '/proc/self/ns/net']));
  });

  it('executes, shares namespaces, stops and removes', async () => {
    await place.ok(command('run', '--detach', '--name', 'first', '--network', 'none', 'box', 'sleep', '1000'));
    try {
      const network = await place.ok(command('exec', 'first', 'readlink', '/proc/self/ns/net'));
      const shared = ['--network', 'container:first', '--pid', 'container:first', '--ipc', 'container:first'];
      const options = ['run', '--rm', ...shared, 'box', 'sh', '-c', 'readlink /proc/self/ns/net; cat /proc/1/comm'];
      expect(await place.ok(command(...options))).toBe(`${network}\nsleep`);
      expect(await place.ok(command('inspect', '--format', '{{.State.Status}}', 'first'))).toBe('running');
    } finally {
      await place.ok(command('rm', '--force', '--time', '0', 'first'));
    }
    expect(await place.ok(command('ps', '--all', '--quiet'))).toBe('');
  });
});
