/** Checkpoint and restore, by the CRIU that is installed: the processes of a container go on in another, with their memory. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { findCriu } from '../../runtime/container/criu.js';
import { exampleConfig } from '../../runtime/container/example-config.js';
import { makeRootfs } from '../harness/rootfs.js';
import { until } from '../harness/until.js';
import { inWorld, type Ran, type World } from '../harness/world.js';

/** What counts in memory, and says how far it is in a volume and in its root. */
const COUNTS = 'i=0; until [ -e /stop ]; do i=$((i+1)); echo $i > /vol/count; echo $i > /own; sleep 0.05; done';

interface Bundle {
  readonly path: string;
  oci(...words: string[]): Promise<Ran>;
  count(): number;
}

async function bundle(
  world: World,
  script: string,
  change: (config: ReturnType<typeof exampleConfig>) => object = (c) => c,
): Promise<Bundle> {
  // Criu tries a connection to this machine first.
  await world.run(['ip', 'link', 'set', 'lo', 'up']);
  const path = join(world.folder, 'bundle');
  mkdirSync(join(world.folder, 'vol'), { recursive: true });
  for (const folder of [world.folder, join(world.folder, 'vol')]) chmodSync(folder, 0o777);
  makeRootfs(join(path, 'rootfs'));
  chmodSync(join(path, 'rootfs'), 0o777);
  const example = exampleConfig();
  const config = {
    ...example,
    root: { path: 'rootfs' },
    process: { ...example.process, terminal: false, args: ['sh', '-c', script] },
    mounts: [
      ...(example.mounts ?? []),
      { destination: '/vol', type: 'bind', source: join(world.folder, 'vol'), options: ['rbind', 'rw'] },
    ],
  };
  writeFileSync(join(path, 'config.json'), JSON.stringify(change(config as never)));
  return {
    path,
    // Its streams are files: what is left running would hold a pipe of ours.
    oci: (...words) => {
      const command = ['tare-oci', '--root', world.env.TARE_STATE ?? '', ...words].map((word) => `'${word}'`).join(' ');
      const output = join(world.folder, 'output');
      const detached = words.includes('-d') || words.includes('create');
      return world.run([
        'sh',
        '-c',
        detached ? `${command} < /dev/null >> ${output} 2>&1; s=$?; cat ${output}; exit $s` : command,
      ]);
    },
    count: () => Number(readFileSync(join(world.folder, 'vol/count'), 'utf8')),
  };
}

const done = { status: 0, stdout: '', stderr: '' };

it('without criu, says what to install, and changes nothing', () =>
  inWorld('nocriu', async (world) => {
    const { oci, path } = await bundle(world, COUNTS);
    expect(await oci('run', '-d', '-b', path, 'c')).toEqual(done);
    const images = join(world.folder, 'images');
    for (const words of [
      ['checkpoint', '--image-path', images, 'c'],
      ['restore', '--image-path', images, '-b', path, 'c2'],
    ]) {
      const ran = await oci('--criu', '/nonexistent/criu', ...words);
      expect(ran.stderr).toMatch(/^tare-oci: \/nonexistent\/criu is not here: .*CRIU 4.*install criu[^\n]*\n$/);
      expect(ran.status).toBe(1);
    }
    expect(existsSync(images)).toBe(false);
    expect(JSON.parse((await oci('list', '-f', 'json')).stdout)).toMatchObject([{ id: 'c', status: 'running' }]);
    await oci('delete', '--force', 'c');
  }));

describe('with CRIU 4', () => {
  beforeEach((context) => {
    try {
      findCriu();
    } catch (error) {
      context.skip((error as Error).message);
    }
  });

  it.each([
    ['a container', (config: object) => config],
    [
      'one with a user namespace',
      (config: { linux: { namespaces: object[] } }) => {
        const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
        const namespaces = [...config.linux.namespaces, { type: 'user' }];
        return { ...config, linux: { ...config.linux, namespaces, uidMappings: mapping, gidMappings: mapping } };
      },
    ],
    [
      'one with a cgroup namespace and limits',
      (config: { linux: { namespaces: { type: string }[] } }) => {
        const namespaces = [...config.linux.namespaces.filter(({ type }) => type !== 'cgroup'), { type: 'cgroup' }];
        return { ...config, linux: { ...config.linux, namespaces, resources: { pids: { limit: 77 } } } };
      },
    ],
  ] as [string, (config: never) => object][])(
    '%s goes on under another id, with its memory, in a cgroup of its own',
    (_, change) =>
      inWorld('criu', async (world) => {
        const { oci, path, count } = await bundle(world, COUNTS, change as never);
        writeFileSync(join(world.folder, 'output'), '', { mode: 0o666 });
        chmodSync(join(world.folder, 'output'), 0o666);
        const images = join(world.folder, 'images');
        expect(await oci('run', '-d', '-b', path, 'c')).toEqual(done);
        await until(() => existsSync(join(world.folder, 'vol/count')) && count() > 5);
        expect(await oci('checkpoint', '--image-path', images, 'c')).toEqual(done);
        expect(JSON.parse((await oci('list', '-f', 'json')).stdout)).toEqual([]);

        const nowhere = ['restore', '-d', '--image-path', images, '--pid-file', '/nowhere/pid', '-b', path, 'other'];
        expect((await oci(...nowhere)).stdout).toMatch(/--pid-file \/nowhere\/pid cannot be written/);
        // Criu looks at its size.
        writeFileSync(join(world.folder, 'output'), '');
        expect(JSON.parse((await oci('list', '-f', 'json')).stdout)).toEqual([]);
        const before = count();

        const pidFile = join(world.folder, 'pid');
        expect(await oci('restore', '-d', '--image-path', images, '--pid-file', pidFile, '-b', path, 'other')).toEqual(
          done,
        );
        await until(() => count() > before + 3);
        expect(count()).toBeLessThan(before + 1000);
        const state = JSON.parse((await oci('state', 'other')).stdout) as { status: string; pid: number };
        expect(state).toMatchObject({ status: 'running', pid: Number(readFileSync(pidFile, 'utf8')) });
        const inside = await oci('exec', 'other', 'sh', '-c', 'cat /proc/1/cgroup; echo; cat /proc/self/cgroup; id -u');
        const [first, self] = inside.stdout.split('\n\n');
        expect(self).toBe(`${first}\n0\n`);
        expect(inside.stdout).not.toContain('/c\n');
        await oci('kill', 'other', 'KILL');
        await oci('delete', '--force', 'other');
      }),
  );

  it('one that has joined a network namespace joins the one that the bundle names then', () =>
    inWorld('criunet', async (world) => {
      const namespace = (name: string) => join(world.folder, name);
      const open = async (name: string) => {
        writeFileSync(namespace(name), '');
        const made = `mount --bind /proc/self/ns/net ${namespace(name)} && ip link set lo up`;
        expect(await world.run(['unshare', '--net', 'sh', '-c', made])).toEqual(done);
      };
      await open('first');
      await open('second');
      const joins = (name: string) => (config: { linux: { namespaces: { type: string }[] } }) => {
        const others = config.linux.namespaces.filter(({ type }) => type !== 'network');
        return {
          ...config,
          linux: { ...config.linux, namespaces: [...others, { type: 'network', path: namespace(name) }] },
        };
      };
      const { oci, path, count } = await bundle(world, COUNTS, joins('first') as never);
      const images = join(world.folder, 'images');
      expect(await oci('run', '-d', '-b', path, 'c')).toEqual(done);
      await until(() => existsSync(join(world.folder, 'vol/count')) && count() > 2);
      expect(await oci('checkpoint', '--image-path', images, 'c')).toEqual(done);
      const config = join(path, 'config.json');
      writeFileSync(config, readFileSync(config, 'utf8').replace(namespace('first'), namespace('second')));
      const before = count();
      expect(await oci('restore', '-d', '--image-path', images, '-b', path, 'c')).toEqual(done);
      await until(() => count() > before);
      const { stdout } = await oci('exec', 'c', 'readlink', '/proc/1/ns/net');
      const wanted = await world.run(['stat', '-Lc', 'net:[%i]', namespace('second')]);
      expect(stdout).toBe(wanted.stdout);
      await oci('delete', '--force', 'c');
      for (const name of ['first', 'second']) await world.run(['umount', namespace(name)]);
    }));

  it('--leave-running lets it go on', () =>
    inWorld('leave', async (world) => {
      const { oci, path, count } = await bundle(world, COUNTS);
      await oci('run', '-d', '-b', path, 'c');
      const images = join(world.folder, 'images');
      expect(await oci('checkpoint', '--leave-running', '--image-path', images, 'c')).toEqual(done);
      const before = count();
      await until(() => count() > before);
      expect((await oci('restore', '-d', '--image-path', images, '-b', path, 'c')).stdout).toMatch(/c exists already/);
      await oci('delete', '--force', 'c');
    }));

  it('is refused for what has not started, for options that are none, and for images that are none', () =>
    inWorld('criuno', async (world) => {
      const { oci, path } = await bundle(world, 'true');
      const images = join(world.folder, 'images');
      await oci('create', '-b', path, 'c');
      expect((await oci('checkpoint', '--image-path', images, 'c')).stderr).toMatch(
        /cannot be checkpointed in created state/,
      );
      await oci('delete', '--force', 'c');

      mkdirSync(join(world.folder, 'none'));
      const none = await oci('restore', '--image-path', join(world.folder, 'none'), '-b', path, 'c');
      expect(none.stderr).toMatch(/^tare-oci: .*tare\.json does not exist: the folder has no checkpoint of Tare\n$/);
      writeFileSync(
        join(world.folder, 'none/tare.json'),
        '{"formatVersion":1,"stdio":[null,null,null],"network":false}',
      );
      const broken = await oci('restore', '--image-path', join(world.folder, 'none'), '-b', path, 'c');
      expect(broken.stderr).toMatch(/^tare-oci: criu failed: type restore: exit code 1[^\n]*restore\.log\)\n$/);
      expect(readdirSync(world.env.TARE_STATE ?? '')).toEqual([]);

      for (const words of [
        ['--manage-cgroups-mode', 'odd'],
        ['--empty-ns', 'pid'],
        ['--parent-path', '/abs'],
        ['--page-server', 'x'],
      ]) {
        await oci('run', '-d', '-b', path, 'c');
        expect((await oci('checkpoint', '--image-path', images, ...words, 'c')).status, words.join(' ')).toBe(1);
        await oci('delete', '--force', 'c');
      }
    }));
});
