/** Which mounts the container and the host see of each other: rootfsPropagation, and the propagation of volumes. mount_namespaces(7). */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeBundle, runScript } from '../harness/bundle.js';
import { inWorld, type World } from '../harness/world.js';

const propagation = (at: string) =>
  `grep '^[^ ]* [^ ]* [^ ]* [^ ]* ${at} ' /proc/self/mountinfo | sed 's/ - .*//' | cut -d' ' -f7-`;
const seen = (world: World, name: string) => readFileSync(`/proc/${world.pid}/mountinfo`, 'utf8').includes(` ${name} `);

/** The world's mounts, as they are on a machine with systemd: all shared. */
async function share(world: World): Promise<void> {
  expect((await world.run(['mount', '--make-rshared', '/'])).status).toBe(0);
}

it.each<[string, RegExp]>([
  ['private', /^\n$/],
  ['rprivate', /^\n$/],
  ['slave', /^master:\d+ ?\n$/],
  ['rslave', /^master:\d+ ?\n$/],
  ['shared', /^shared:\d+ ?\n$/],
  ['rshared', /^shared:\d+ ?\n$/],
  ['unbindable', /^unbindable ?\n$/],
  ['runbindable', /^unbindable ?\n$/],
] as const)('the root is %s, and the host sees no mount of it', (rootfsPropagation, expected) =>
  inWorld('root-propagation', async (world) => {
    await share(world);
    const mounts = () => readFileSync(`/proc/${world.pid}/mountinfo`, 'utf8').split('\n');
    const before = new Set(mounts());
    // Only what comes: the world is a copy, and what another test had mounted goes from it when its mount point is removed.
    const added = () => mounts().filter((line) => !before.has(line));
    const { path } = makeBundle(
      world,
      `${propagation('/')}; mkdir /m && mount -t tmpfs inner /m && grep -c inner /proc/self/mountinfo`,
      { linux: { rootfsPropagation: rootfsPropagation as never } },
    );
    const child = world.start(['tare', 'run', '--bundle', path]);
    let output = '';
    const during: string[] = [];
    child.stdout?.on('data', (text) => {
      output += String(text);
      during.push(...added());
    });
    await new Promise((resolve) => child.once('close', resolve));
    const [first = '', count] = output.split(/(?<=\n)/);
    expect(first).toMatch(expected);
    expect(count).toBe('1\n');
    expect(during).toEqual([]);
    expect(added()).toEqual([]);
  }),
);

it('an unbindable root cannot be bound', () =>
  inWorld('root-unbindable', async (world) => {
    const ran = await runScript(world, 'mkdir /m; mount --bind / /m', { linux: { rootfsPropagation: 'unbindable' } });
    expect(ran.stderr).toMatch(/Invalid argument/);
  }));

it('what the container mounts in a shared volume reaches the host, where the root is shared; into another volume not', () =>
  inWorld('volume-shared', async (world) => {
    await share(world);
    const [one, two] = ['one', 'two'].map((name) => join(world.folder, name)) as [string, string];
    for (const folder of [one, two]) {
      mkdirSync(join(folder, 'sub'), { recursive: true });
      await world.run(['mount', '-t', 'tmpfs', 'volume', folder]);
      await world.run(['mkdir', join(folder, 'sub')]);
    }
    const script =
      'mount -t tmpfs new1 /one/sub; mount -t tmpfs new2 /two/sub; mount -t tmpfs new3 /three/sub; ls -d /one/sub';
    const ran = await runScript(world, script, {
      mounts: [
        { destination: '/one', source: one, options: ['rbind', 'rshared'] },
        { destination: '/two', source: two, options: ['rbind'] },
        { destination: '/three', source: two, options: ['rbind', 'rprivate'] },
      ],
      linux: { rootfsPropagation: 'rshared' },
    });
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect([seen(world, join(one, 'sub')), seen(world, join(two, 'sub'))]).toEqual([true, false]);
    for (const folder of [one, two]) await world.run(['umount', '-R', folder]);
  }));

it.each<[string, string[], boolean]>([
  ['a slave', ['rbind', 'rslave'], true],
  ['a private', ['rbind', 'rprivate'], false],
])('what the host mounts in %s volume: seen in the container: %s', (_, options, expected) =>
  inWorld('volume-slave', async (world) => {
    await share(world);
    const source = join(world.folder, 'source');
    mkdirSync(source);
    await world.run(['sh', '-c', `mount -t tmpfs volume ${source}; mkdir ${source}/sub`]);
    const { path } = makeBundle(world, 'echo ready; read x; grep -c later /proc/self/mountinfo', {
      mounts: [{ destination: '/vol', source, options }],
      linux: { rootfsPropagation: 'rslave' },
    });
    const child = world.start(['tare', 'run', '--bundle', path]);
    let output = '';
    await new Promise<void>((resolve) => {
      child.stdout?.on('data', (text) => {
        output += String(text);
        if (output.includes('ready')) resolve();
      });
    });
    await world.run(['mount', '-t', 'tmpfs', 'later', join(source, 'sub')]);
    child.stdin?.end('\n');
    await new Promise((resolve) => child.once('close', resolve));
    await world.run(['umount', '-R', source]);
    expect(output).toBe(`ready\n${expected ? 1 : 0}\n`);
  }),
);

it('a container without a mount namespace takes nothing of the host with it when it goes', () =>
  inWorld('no-mount-namespace', async (world) => {
    await share(world);
    const source = join(world.folder, 'source');
    mkdirSync(source);
    await world.run([
      'sh',
      '-c',
      `mount -t tmpfs volume ${source}; mkdir ${source}/sub ${source}/new; mount -t tmpfs below ${source}/sub`,
    ]);
    const before = world.contents().mounts;
    for (const options of [['rbind'], ['rbind', 'rshared']]) {
      const ran = await runScript(world, 'ls /vol', {
        mounts: [
          { destination: '/vol', source, options },
          { destination: '/vol/new', type: 'tmpfs' },
        ],
        linux: { namespaces: ['pid', 'network', 'ipc', 'uts', 'cgroup'].map((type) => ({ type: type as 'pid' })) },
      });
      expect(ran).toMatchObject({ stdout: 'new\nsub\n', status: 0 });
      expect(world.contents().mounts).toEqual(before);
    }
    await world.run(['umount', '-R', source]);
  }));
