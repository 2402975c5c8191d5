/** Limits and how they are changed and watched: cgroups of both versions, device rules, update, events. config-linux.md, Control groups. */
import { deepEqual, equal, match, notEqual, ok as truthy } from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupOf, contentOf, unified } from '../cgroups.js';
import { type Container, ok, refused } from '../container.js';
import { type Scene, suite } from '../suite.js';
import { until } from '../until.js';

interface Limit {
  readonly what: string;
  readonly controller: string;
  readonly resources: Record<string, unknown>;
  /** File and value with version 1, and with version 2. */
  readonly v1?: readonly [file: string, value: string];
  readonly v2?: readonly [file: string, value: string];
}

const MIB = 2 ** 20;
const LIMITS: readonly Limit[] = [
  limit(
    'memory',
    'memory.limit',
    { memory: { limit: 64 * MIB } },
    ['memory.limit_in_bytes', `${64 * MIB}`],
    ['memory.max', `${64 * MIB}`],
  ),
  limit(
    'memory',
    'memory.reservation',
    { memory: { reservation: 32 * MIB } },
    ['memory.soft_limit_in_bytes', `${32 * MIB}`],
    ['memory.low', `${32 * MIB}`],
  ),
  limit(
    'memory',
    'memory without a limit',
    { memory: { limit: -1 } },
    ['memory.limit_in_bytes', '9223372036854771712'],
    ['memory.max', 'max'],
  ),
  limit('pids', 'pids.limit', { pids: { limit: 77 } }, ['pids.max', '77'], ['pids.max', '77']),
  limit('pids', 'pids without a limit', { pids: { limit: -1 } }, ['pids.max', 'max'], ['pids.max', 'max']),
  limit('cpu', 'cpu.shares', { cpu: { shares: 512 } }, ['cpu.shares', '512'], ['cpu.weight', '20 or 59']),
  limit(
    'cpu',
    'cpu.quota and period',
    { cpu: { quota: 25_000, period: 50_000 } },
    ['cpu.cfs_quota_us', '25000'],
    ['cpu.max', '25000 50000'],
  ),
  limit('cpu', 'cpu.period', { cpu: { period: 50_000 } }, ['cpu.cfs_period_us', '50000'], ['cpu.max', 'max 50000']),
  limit('cpuset', 'cpu.cpus', { cpu: { cpus: '0' } }, ['cpuset.cpus', '0'], ['cpuset.cpus', '0']),
  limit('cpuset', 'cpu.mems', { cpu: { mems: '0' } }, ['cpuset.mems', '0'], ['cpuset.mems', '0']),
  limit('memory', 'memory.swap', { memory: { limit: 64 * MIB, swap: 96 * MIB } }, undefined, [
    'memory.swap.max',
    `${32 * MIB}`,
  ]),
  limit('cpu', 'unified', { unified: { 'cpu.weight': '33' } }, undefined, ['cpu.weight', '33']),
];

export const resources = suite('resources', (it) => {
  for (const { what, controller, resources: asked, v1, v2 } of LIMITS) {
    it(`${what} is set`, 'config-linux.md, Control groups', async (scene) => {
      const [file, value] = (unified ? v2 : v1) ?? scene.skip(`is of version ${unified ? 1 : 2} of cgroups`);
      const it = scene.container((config) => Object.assign(config.linux.resources, asked));
      const directory = directoryOf(scene, it, controller);
      await it.up();
      match(contentOf(directory, file), either(value));
      equal(contentOf(directory, 'cgroup.procs').split('\n').length, 1);
    });
  }

  it('a relative cgroupsPath is below a place of the runtime’s', 'config-linux.md, Cgroups Path', async (scene) => {
    if (unified) scene.skip('the runtime of a machine’s root cgroup may choose');
    const it = scene.container();
    it.config.linux.cgroupsPath = `${scene.bench.world.cgroup.slice(1)}/${it.id}`;
    await it.up();
    match(scene.bench.proc(await it.pid(), 'cgroup'), new RegExp(`:pids:/.*${it.id}$`, 'm'));
  });

  it('two containers may not have one cgroup', 'runc: the cgroup must be empty (1.1)', async ({ container }) => {
    const first = await container().up();
    const second = container((config) => {
      config.linux.cgroupsPath = first.config.linux.cgroupsPath;
    });
    const ran = await second.create();
    // A warning of runc 1.1; an error of later ones.
    truthy(ran.status !== 0 || /cgroup/.test(ran.stderr), ran.stderr);
    equal(await first.status(), 'running');
  });

  it('too many processes are refused', 'config-linux.md, PIDs', async ({ sh, skip, bench }) => {
    if (!cgroupOf('pids', bench.world.cgroup)) skip('this machine has no pids controller');
    const said = await sh(
      'for i in 1 2 3 4 5 6 7 8; do sleep 5 & done 2>/dev/null || echo refused; kill -9 -1 2>/dev/null; true',
      (config) => {
        config.linux.resources.pids = { limit: 5 };
      },
    ).catch((error: Error) => error.message);
    match(said, /refused|fork|exit code 2/);
  });

  it('too much memory kills', 'config-linux.md, Memory', async (scene) => {
    const it = scene.container((config) => {
      config.linux.resources.memory = { limit: 16 * MIB, swap: 16 * MIB };
      config.process.args = ['sh', '-c', 'exec dd if=/dev/zero of=/dev/null bs=64M count=1'];
    });
    directoryOf(scene, it, 'memory');
    equal((await it.run()).status, 137);
  });

  for (const [what, more, seen] of [
    ['forbidden', [], 'Operation not permitted'],
    ['allowed', [{ allow: true, type: 'c', major: 240, minor: 7, access: 'rw' }], 'No such device or address'],
    [
      'allowed for reading only',
      [{ allow: true, type: 'c', major: 240, minor: 7, access: 'r' }],
      'Operation not permitted',
    ],
    [
      'allowed by a wildcard',
      [{ allow: true, type: 'c', major: 240, minor: -1, access: 'rw' }],
      'No such device or address',
    ],
    [
      'forbidden by a later rule',
      [
        { allow: true, type: 'c', major: 240, minor: 7, access: 'rw' },
        { allow: false, type: 'c', major: 240, minor: 7, access: 'w' },
      ],
      'Operation not permitted',
    ],
  ] as const) {
    // Nobody drives the numbers 240: whoever may open it hears that there is none.
    it(`a device ${what}`, 'config-linux.md, Allowed Device list', async ({ sh }) => {
      const said = await sh('exec 2>&1; echo x > /dev/mine || true', (config) => {
        config.linux.devices = [{ path: '/dev/mine', type: 'c', major: 240, minor: 7, fileMode: 0o666 }];
        config.linux.resources.devices = [{ allow: false, access: 'rwm' }, ...more];
      });
      match(said, new RegExp(seen));
    });
  }

  it('the default devices can be used whatever is forbidden', 'config-linux.md, Default Devices', async ({ sh }) => {
    equal(await sh('echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 1 /dev/urandom | wc -c'), '3\n1\n');
  });

  it(
    'a device that is not allowed can be made at most, not opened',
    'config-linux.md, Allowed Device list',
    async ({ sh }) => {
      const said = await sh(
        'cd /made; mknod x c 240 7 2>/dev/null || echo not permitted; [ -e x ] && echo y > x; mknod y c 1 3 && cat y && echo opened',
        (config) => {
          const capabilities = ['CAP_MKNOD'];
          config.process.capabilities = { bounding: capabilities, permitted: capabilities, effective: capabilities };
          config.process.args.splice(2, 1, `exec 2>&1; ${config.process.args[2]}`);
          // The root may lie where no device can be opened.
          config.mounts.push({ destination: '/made', type: 'tmpfs', source: 'tmpfs', options: ['dev'] });
          config.linux.resources.devices = [
            { allow: false, access: 'rwm' },
            { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
          ];
        },
      );
      match(said, /(not permitted|can't create)[^\n]*\nopened\n$|^y\nopened\n$/);
    },
  );

  const flags: [flags: string[], controller: string, v1: [string, string] | undefined, v2: [string, string]][] = [
    [['--memory', `${48 * MIB}`], 'memory', ['memory.limit_in_bytes', `${48 * MIB}`], ['memory.max', `${48 * MIB}`]],
    [
      ['--memory-reservation', `${24 * MIB}`],
      'memory',
      ['memory.soft_limit_in_bytes', `${24 * MIB}`],
      ['memory.low', `${24 * MIB}`],
    ],
    [['--pids-limit', '55'], 'pids', ['pids.max', '55'], ['pids.max', '55']],
    [['--cpu-share', '256'], 'cpu', ['cpu.shares', '256'], ['cpu.weight', '10 or 35']],
    [
      ['--cpu-quota', '30000', '--cpu-period', '60000'],
      'cpu',
      ['cpu.cfs_quota_us', '30000'],
      ['cpu.max', '30000 60000'],
    ],
    [['--cpuset-cpus', '0'], 'cpuset', ['cpuset.cpus', '0'], ['cpuset.cpus', '0']],
    [['--cpuset-mems', '0'], 'cpuset', ['cpuset.mems', '0'], ['cpuset.mems', '0']],
  ];
  for (const [words, controller, v1, v2] of flags) {
    it(`update ${words.join(' ')}`, 'runc update', async (scene) => {
      const [file, value] = (unified ? v2 : v1) ?? scene.skip(`is of version ${unified ? 1 : 2} of cgroups`);
      const it = scene.container((config) => {
        config.linux.resources.memory = { limit: 96 * MIB };
      });
      const directory = directoryOf(scene, it, controller);
      await it.up();
      ok(await it.oci(['update', ...words, it.id]));
      match(contentOf(directory, file), either(value));
    });
  }

  it('update --resources takes a file, and leaves the rest as it is', 'runc update --resources', async (scene) => {
    const it = scene.container((config) => {
      config.linux.resources.pids = { limit: 99 };
    });
    const [memory, pids] = [directoryOf(scene, it, 'memory'), directoryOf(scene, it, 'pids')];
    await it.up();
    const file = join(it.bundle, 'resources.json');
    writeFileSync(file, JSON.stringify({ memory: { limit: 40 * MIB } }));
    ok(await it.oci(['update', '--resources', file, it.id]));
    equal(contentOf(memory, unified ? 'memory.max' : 'memory.limit_in_bytes'), `${40 * MIB}`);
    equal(contentOf(pids, 'pids.max'), '99');
  });

  it('update -r - reads its input', 'runc update --resources -', async (scene) => {
    const it = scene.container();
    const pids = directoryOf(scene, it, 'pids');
    await it.up();
    ok(await it.oci(['update', '-r', '-', it.id], { stdin: '{"pids":{"limit":42}}' }));
    equal(contentOf(pids, 'pids.max'), '42');
  });

  it('an update that is no JSON is refused', 'runc update', async ({ container }) => {
    const it = await container().up();
    refused(await it.oci(['update', '-r', '-', it.id], { stdin: '{' }));
  });

  it('a created container can be updated', 'runc update', async (scene) => {
    const it = scene.container();
    const pids = directoryOf(scene, it, 'pids');
    ok(await it.create());
    ok(await it.oci(['update', '--pids-limit', '31', it.id]));
    ok(await it.start());
    equal(contentOf(pids, 'pids.max'), '31');
  });

  it('an update outlives pause and resume', 'runc update, pause', async (scene) => {
    const it = scene.container();
    const pids = directoryOf(scene, it, 'pids');
    await it.up();
    ok(await it.oci(['update', '--pids-limit', '21', it.id]));
    ok(await it.oci(['pause', it.id]));
    ok(await it.oci(['resume', it.id]));
    equal(contentOf(pids, 'pids.max'), '21');
  });

  it('events --stats tells once what the container uses', 'runc events --stats', async (scene) => {
    const it = await scene
      .container((config) => {
        config.linux.resources.pids = { limit: 65 };
      })
      .up();
    directoryOf(scene, it, 'pids');
    const event = JSON.parse(ok(await it.oci(['events', '--stats', it.id]))) as Event;
    deepEqual([event.type, event.id], ['stats', it.id]);
    deepEqual(event.data?.pids, { current: 1, limit: 65 });
    truthy((event.data?.memory?.usage?.usage ?? 0) > 0);
    notEqual(event.data?.cpu?.usage?.total, undefined);
  });

  it(
    'events tells again and again, until the container is deleted',
    'runc events --interval',
    async ({ container }) => {
      const it = await container().up();
      const events = it.begin(['events', '--interval', '100ms', it.id]);
      await until(() => events.said().split('\n').length > 2);
      ok(await it.delete('--force'));
      const said = eventsOf(ok(await events.ended));
      truthy(said.length >= 2, `${said.length} events`);
      deepEqual([...new Set(said.map(({ type, id }) => `${type} ${id}`))], [`stats ${it.id}`]);
    },
  );

  it('events tells of a process that was killed for memory', 'runc events: oom', async (scene) => {
    const it = scene.container((config) => {
      config.linux.resources.memory = { limit: 16 * MIB, swap: 16 * MIB };
      const hog = 'until [ -e /go ]; do sleep 0.05; done; dd if=/dev/zero of=/dev/null bs=64M count=1';
      config.process.args = ['sh', '-c', `${hog}; exec sleep 1000`];
    });
    directoryOf(scene, it, 'memory');
    await it.up();
    const events = it.begin(['events', '--interval', '100ms', it.id]);
    await until(() => events.said() !== '');
    writeFileSync(join(it.rootfs, 'go'), '');
    await until(() => events.said().includes('oom'));
    ok(await it.delete('--force'));
    const types = new Set(eventsOf((await events.ended).stdout).map(({ type }) => type));
    deepEqual([...types].sort(), ['oom', 'stats']);
  });

  it('a cgroup below the container’s is removed too', 'runc delete', async (scene) => {
    const it = scene.container();
    const below = join(directoryOf(scene, it, 'pids'), 'sub');
    await it.up();
    mkdirSync(below);
    await it.end();
    ok(await it.delete());
    equal(existsSync(below), false);
  });
});

interface Event {
  readonly type: string;
  readonly id: string;
  readonly data?: {
    readonly pids?: { readonly current: number; readonly limit: number };
    readonly cpu?: { readonly usage?: { readonly total?: number } };
    readonly memory?: { readonly usage?: { readonly usage: number } };
  };
}

function eventsOf(said: string): Event[] {
  return said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);
}

/** The container's directory; leaves the case out where the machine has no such controller. */
function directoryOf({ skip }: Scene, it: Container, controller: string): string {
  return cgroupOf(controller, it.config.linux.cgroupsPath) ?? skip(`this machine has no ${controller} controller`);
}

/** cpu.shares were a straight line to cpu.weight once (crun 1.8, runc 1.1), and are a curve that meets both defaults now: `20 or 59`. */
function either(values: string): RegExp {
  return new RegExp(`^(?:${values.split(' or ').join('|')})$`);
}

function limit(
  controller: string,
  what: string,
  asked: Record<string, unknown>,
  v1: Limit['v1'],
  v2: Limit['v2'],
): Limit {
  return { what, controller, resources: asked, v1, v2 };
}
