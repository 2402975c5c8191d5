/** Bundles of a user who is not root: several ranges of ids, groups, clocks, namespaces of their own containers, delegated cgroups. */
import { chmodSync, chownSync, existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultConfig } from '../../runtime/container/index.js';
import { probeFeatures } from '../../runtime/kernel/features.js';
import { publicCopy } from '../harness/public-copy.js';
import { makeRootfs } from '../harness/rootfs.js';
import { until } from '../harness/until.js';
import { inWorld, type World } from '../harness/world.js';
import { type Mutable, setNamespace } from './bundle.js';

const UID = 65534;
/** The ids that the user may give away, in these tests. */
const SUB = 300_000;
const copy = publicCopy();
const oci = join(dirname(copy.tare), 'tare-oci');
afterAll(() => copy[Symbol.dispose]());

/** What the user types, with these words before it. */
const asUser = (words: readonly string[], groups = '--clear-groups') => [
  'setpriv',
  `--reuid=${UID}`,
  `--regid=${UID}`,
  groups,
  ...words,
];

/** A bundle of the user's. */
function bundleOf(
  world: World,
  name: string,
  script: string,
  edit: (config: Mutable) => void = () => undefined,
): string {
  chmodSync(world.folder, 0o755);
  const path = join(world.folder, name);
  const rootfs = makeRootfs(join(path, 'rootfs'));
  const config = JSON.parse(
    JSON.stringify(defaultConfig({ rootfs, args: ['sh', '-c', script], caller: { uid: UID, gid: UID } })),
  ) as Mutable;
  edit(config);
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  return path;
}

/** Runs it to its end. */
async function run(world: World, bundle: string, globals: string[] = [], groups?: string, before: string[] = []) {
  const state = join(world.folder, 'user-state');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  chownSync(state, UID, UID);
  await world.run(['chown', '-R', `${UID}:${UID}`, bundle]);
  const words = [process.execPath, oci, '--root', state, ...globals, 'run', '--bundle', bundle, 'c'];
  return world.run([...before, ...asUser(words, groups)], { env: { HOME: '/nonexistent' } });
}

/** Mounts a file over another for as long as the test lasts. Nobody but the world sees it. */
async function withFile(world: World, path: string, text: string, test: () => Promise<void>): Promise<void> {
  const file = join(world.folder, path.replaceAll('/', '-'));
  writeFileSync(file, text, { mode: 0o644 });
  await world.run(['mount', '--bind', file, path]);
  try {
    await test();
  } finally {
    await world.run(['umount', path]);
  }
}

const withSubIds = (world: World, test: () => Promise<void>) =>
  withFile(world, '/etc/subuid', `${UID}:${SUB}:65536\nnobody:${SUB}:65536\n`, () =>
    withFile(world, '/etc/subgid', `${UID}:${SUB}:65536\nnobody:${SUB}:65536\n`, test),
  );

/** Root is the user, and the other ids are those given to them. */
const withRanges = (config: Mutable) => {
  const ranges = [
    { containerID: 0, hostID: UID, size: 1 },
    { containerID: 1, hostID: SUB, size: 65535 },
  ];
  config.linux.uidMappings = ranges;
  config.linux.gidMappings = ranges;
};

describe('a bundle of a user who is not root', () => {
  beforeEach((context) => {
    if (!probeFeatures().userNamespaces) context.skip('this machine lets nobody make a user namespace');
    if (!existsSync('/usr/bin/newuidmap')) context.skip('newuidmap is missing (Debian: uidmap)');
  });

  it('runs where /proc hides the processes of others, who started it among them', async () => {
    await inWorld('hidepid', async (world) => {
      const hide = 'mount -t proc -o hidepid=2 proc /proc && "$@"; exit $?';
      const before = ['unshare', '--mount', 'sh', '-c', hide, 'sh'];
      const ran = await run(world, bundleOf(world, 'hidden', 'echo it runs'), [], undefined, before);
      expect(ran).toEqual({ status: 0, stdout: 'it runs\n', stderr: '' });
    });
  });

  it('has several ranges of ids, by newuidmap and newgidmap, and then groups of its own', () =>
    inWorld('ranges', (world) =>
      withSubIds(world, async () => {
        const script = `tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map; id -G; touch /tmp/mine; chown 7:8 /tmp/mine; stat -c %u:%g /tmp/mine`;
        const bundle = bundleOf(world, 'ranges', script, (config) => {
          withRanges(config);
          config.process.user = { uid: 0, gid: 0, additionalGids: [5, 60] };
        });
        const ran = await run(world, bundle);
        expect(ran.stderr).toBe('');
        const map = ['0 65534 1', `1 ${SUB} 65535`];
        expect(
          ran.stdout
            .trim()
            .split('\n')
            .map((line) => line.trim()),
        ).toEqual([...map, ...map, '0 5 60', '7:8']);
      }),
    ));

  it('is told whose ids it may not give away, and which program is missing', () =>
    inWorld('notmine', async (world) => {
      const bundle = bundleOf(world, 'notmine', 'true', withRanges);
      await withFile(world, '/etc/subuid', '', async () => {
        const ran = await run(world, bundle);
        expect(ran.stderr).toMatch(
          /linux\.uidMappings: newuidmap: .* not allowed: \/etc\/subuid says which users may be given/,
        );
        expect(ran.status).toBe(1);
      });
      await withFile(world, '/usr/bin/newuidmap', '', async () => {
        const ran = await run(world, bundle);
        expect(ran.stderr).toMatch(/takes newuidmap, and that is not installed \(Debian: uidmap\)/);
      });
      expect(existsSync(join(world.folder, 'user-state', 'c'))).toBe(false);
    }));

  it('keeps the groups of who calls, since it may not set any', () =>
    inWorld('groups', async (world) => {
      const bundle = bundleOf(world, 'groups', 'id -G; cat /proc/self/setgroups');
      const ran = await run(world, bundle, [], '--groups=70001,70002');
      expect(ran.stdout).toBe('0 65534 65534\ndeny\n');
      const asking = bundleOf(world, 'asking', 'id -G', (config) => {
        config.process.user = { uid: 0, gid: 0, additionalGids: [5] };
      });
      expect((await run(world, asking)).stderr).toContain('additionalGids is left out');
    }));

  it('keeps groups that it could set, where the annotation says so', () =>
    inWorld('keepgroups', (world) =>
      withSubIds(world, async () => {
        const keep = (config: Mutable) => {
          withRanges(config);
          config.annotations = { 'run.oci.keep_original_groups': '1' };
        };
        const kept = await run(world, bundleOf(world, 'kept', 'id -G', keep), [], '--groups=70001');
        expect(kept.stdout).toBe('0 65534\n');
        const dropped = await run(world, bundleOf(world, 'dropped', 'id -G', withRanges), [], '--groups=70001');
        expect(dropped.stdout).toBe('0\n');
      }),
    ));

  it('sets clocks and the OOM score through the bridge, with one id or with many', () =>
    inWorld('clocks', (world) =>
      withSubIds(world, async () => {
        for (const [name, ids] of [
          ['one', () => undefined],
          ['many', withRanges],
        ] as const) {
          const script = `tr -s ' ' < /proc/self/timens_offsets; cat /proc/self/oom_score_adj; id -u; touch /tmp/x; stat -c %u /tmp/x`;
          const bundle = bundleOf(world, name, script, (config) => {
            setNamespace(config, 'time');
            ids(config);
            config.linux.timeOffsets = { boottime: { secs: 5000 } };
            config.process.oomScoreAdj = 500;
          });
          const ran = await run(world, bundle);
          expect(ran.stderr).toBe('');
          expect(ran.stdout).toBe('monotonic 0 0\nboottime 5000 0\n500\n0\n0\n');
        }
      }),
    ));

  it('joins the namespaces of another container of the same user', () =>
    inWorld('pod', async (world) => {
      const pause = bundleOf(world, 'pause', 'echo started > /tmp/started; exec sleep 1000', (config) => {
        setNamespace(config, 'time');
      });
      const running = run(world, pause);
      const started = join(pause, 'rootfs/tmp/started');
      await until(() => existsSync(started));
      // As the world's processes number themselves.
      const list = await world.run([
        'sh',
        '-c',
        'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = sleep ] && basename $p; done',
      ]);
      const pid = list.stdout.trim();
      const types = {
        user: 'user',
        network: 'net',
        ipc: 'ipc',
        uts: 'uts',
        pid: 'pid',
        time: 'time',
        cgroup: 'cgroup',
      } as const;
      const member = bundleOf(
        world,
        'member',
        `for n in user net ipc uts pid time cgroup mnt; do readlink /proc/self/ns/$n; done; cat /proc/1/comm`,
        (config) => {
          for (const [type, link] of Object.entries(types))
            setNamespace(config, type as keyof typeof types, `/proc/${pid}/ns/${link}`);
          config.linux.uidMappings = [];
          config.linux.gidMappings = [];
          config.process.oomScoreAdj = 300;
        },
      );
      const state = join(world.folder, 'user-state');
      await world.run(['chown', '-R', `${UID}:${UID}`, member]);
      const ran = await world.run(
        asUser([process.execPath, oci, '--root', state, 'run', '--bundle', member, 'member']),
        {
          env: { HOME: '/nonexistent' },
        },
      );
      expect(ran.stderr).toBe('');
      const theirs = await world.run([
        'sh',
        '-c',
        `for n in user net ipc uts pid time cgroup mnt; do readlink /proc/${pid}/ns/$n; done`,
      ]);
      const [mine, other] = [ran.stdout.trim().split('\n'), theirs.stdout.trim().split('\n')];
      expect(mine.slice(0, 7)).toEqual(other.slice(0, 7));
      expect(mine[7]).not.toBe(other[7]);
      expect(mine[8]).toBe('sleep');
      const words = ['exec', 'c', 'sh', '-c', 'id -u; readlink /proc/self/ns/user'];
      const further = await world.run(asUser([process.execPath, oci, '--root', state, ...words]), { env: {} });
      expect([further.stdout, further.stderr]).toEqual([`0\n${other[0]}\n`, '']);
      await world.run(['kill', '-9', pid]);
      expect((await running).status).toBe(137);
    }));

  it('may not join a network of root’s, which is said', () =>
    inWorld('rootsnet', async (world) => {
      const file = join(world.folder, 'network');
      writeFileSync(file, '', { mode: 0o644 });
      await world.run(['unshare', `--net=${file}`, 'true']);
      const bundle = bundleOf(world, 'joins', 'true', (config) => setNamespace(config, 'network', file));
      const ran = await run(world, bundle);
      expect(ran.stderr).toMatch(/linux\.namespaces\[\d\]\.path: only root may join it/);
      await world.run(['umount', file]);
    }));

  it('is limited in a cgroup that was delegated', () =>
    inWorld('delegated', async (world) => {
      const places = ['pids', 'unified'].map((name) => join('/sys/fs/cgroup', name, world.cgroup, 'user'));
      for (const place of places) {
        mkdirSync(place);
        await world.run(['chown', '-R', `${UID}:${UID}`, place]);
      }
      const enter = places.map((place) => `echo $$ > ${place}/cgroup.procs`).join('; ');
      const bundle = bundleOf(world, 'delegated', 'cat /proc/self/cgroup', (config) => {
        config.linux.resources = { pids: { limit: 50 } };
        config.linux.cgroupsPath = `${world.cgroup}/user/inner`;
        config.linux.namespaces = config.linux.namespaces?.filter(({ type }) => type !== 'cgroup');
      });
      const ran = await run(world, bundle, [], undefined, ['sh', '-c', `${enter}; exec "$@"`, 'sh']);
      expect(ran.stderr).toBe('');
      const lines = ran.stdout.split('\n').filter((line) => /^\d+:(pids)?:/.test(line));
      expect(lines.map((line) => line.replace(/^.*:/, ''))).toEqual(Array(2).fill(`${world.cgroup}/user/inner`));
      for (const place of places) rmdirSync(place);
    }));

  it('is made without a cgroup where there is none to be had, unless --rootless=false', () =>
    inWorld('nocgroup', async (world) => {
      const bundle = bundleOf(world, 'nocgroup', 'echo runs');
      for (const mode of ['auto', 'true'])
        expect((await run(world, bundle, ['--rootless', mode])).stdout).toBe('runs\n');
      const refused = await run(world, bundle, ['--rootless=false']);
      expect(refused.stderr).toMatch(/the caller may make no cgroup, and --rootless=false asks for one/);
      expect((await run(world, bundle, ['--rootless=maybe'])).stderr).toMatch(
        /--rootless is true, false or auto, not "maybe"/,
      );
    }));

  it('of root in a user namespace of the user’s shows the host’s devices and needs no other namespace of users', () =>
    inWorld('nested', async (world) => {
      const bundle = bundleOf(
        world,
        'nested',
        'id -u; echo x > /dev/null; stat -c %t:%T /dev/zero; cat /proc/self/uid_map | tr -s " "',
        (config) => {
          config.linux.namespaces = config.linux.namespaces?.filter(({ type }) => type !== 'user');
          config.linux.uidMappings = [];
          config.linux.gidMappings = [];
          config.linux.resources = { devices: [{ allow: false, access: 'rwm' }] };
        },
      );
      const words = [
        'unshare',
        '--user',
        '--map-root-user',
        process.execPath,
        oci,
        '--root',
        join(world.folder, 'user-state'),
      ];
      const state = join(world.folder, 'user-state');
      mkdirSync(state, { mode: 0o700 });
      chownSync(state, UID, UID);
      await world.run(['chown', '-R', `${UID}:${UID}`, bundle]);
      const ran = await world.run(asUser([...words, 'run', '--bundle', bundle, 'n']), {
        env: { HOME: '/nonexistent' },
      });
      expect(ran.stderr).toBe('');
      expect(
        ran.stdout
          .trim()
          .split('\n')
          .map((line) => line.trim()),
      ).toEqual(['0', '1:5', `0 ${UID} 1`]);
    }));
});
