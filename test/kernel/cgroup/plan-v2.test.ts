/** What a cgroup of version 2 takes: controllers, limits, device programs, scopes, and its user. */
import { describe, expect, it } from 'vitest';
import {
  type CgroupFiles,
  type CgroupLimits,
  DEFAULT_DEVICE_RULES,
  detectCgroups,
  planCgroup,
} from '../../../runtime/kernel/cgroup/index.js';
import { failureOf } from '../support.js';
import { fixture, HYBRID, V1_NESTED, V2 } from './fixtures.js';
import { plan, show } from './planned.js';

describe('on version 2', () => {
  const limits: CgroupLimits = {
    memory: { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20 },
    pids: { limit: 100 },
    cpu: { shares: 512, quota: 50_000, period: 100_000, burst: 1000 },
  };

  it('controllers are enabled from the top down, limits written, and the process is born inside', () => {
    const { actions, ...rest } = plan(fixture(V2), '/tare/x', limits);
    expect(actions.map(show)).toEqual([
      'mkdir /sys/fs/cgroup/tare',
      '/sys/fs/cgroup/tare/cgroup.subtree_control=+cpu +memory +pids',
      'mkdir /sys/fs/cgroup/tare/x',
      '/sys/fs/cgroup/tare/x/memory.max=67108864',
      '/sys/fs/cgroup/tare/x/memory.low=33554432',
      '/sys/fs/cgroup/tare/x/memory.swap.max=33554432',
      '/sys/fs/cgroup/tare/x/pids.max=100',
      '/sys/fs/cgroup/tare/x/cpu.weight=59',
      '/sys/fs/cgroup/tare/x/cpu.max=50000 100000',
      '/sys/fs/cgroup/tare/x/cpu.max.burst=1000',
    ]);
    expect(rest).toMatchObject({
      tasks: [],
      into: '/sys/fs/cgroup/tare/x',
      procs: '/sys/fs/cgroup/tare/x/cgroup.procs',
      unenforced: [],
      places: [{ version: 2, mountPoint: '/sys/fs/cgroup', directory: '/sys/fs/cgroup/tare/x' }],
    });
  });

  it('what is there is not made again, and what is enabled not enabled again', () => {
    const files = fixture({ ...V2, '/sys/fs/cgroup/tare/cgroup.subtree_control': 'memory' });
    const { actions } = plan(files, '/tare/x', { memory: { limit: 1 << 20 }, cpu: { cpus: '0-1' } });
    expect(actions.map(show)).toEqual([
      '/sys/fs/cgroup/cgroup.subtree_control=+cpuset',
      '/sys/fs/cgroup/tare/cgroup.subtree_control=+cpuset',
      'mkdir /sys/fs/cgroup/tare/x',
      '/sys/fs/cgroup/tare/x/memory.max=1048576',
      '/sys/fs/cgroup/tare/x/cpuset.cpus=0-1',
    ]);
  });

  it('each action says which field it is for; only the last directory is the container’s alone', () => {
    const { actions } = plan(fixture(V2), '/tare/x', { pids: { limit: 5 } });
    expect(actions.map((action) => action.field)).toEqual([
      'linux.cgroupsPath',
      'linux.resources',
      'linux.cgroupsPath',
      'linux.resources.pids.limit',
    ]);
    expect(actions.flatMap((action) => (action.do === 'mkdir' ? [action.shared] : []))).toEqual([true, false]);
  });

  it('with all hierarchies, what is counted is enabled without a limit', () => {
    const { actions } = plan(fixture(V2), '/tare/x', {}, 'all');
    // Each by itself, so that a kernel may refuse one of them.
    const all = ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma', 'misc'];
    expect(actions.map(show)).toEqual([
      ...['cpuset', 'io', 'hugetlb', 'rdma', 'misc'].map((name) => `/sys/fs/cgroup/cgroup.subtree_control=+${name}`),
      'mkdir /sys/fs/cgroup/tare',
      ...all.map((name) => `/sys/fs/cgroup/tare/cgroup.subtree_control=+${name}`),
      'mkdir /sys/fs/cgroup/tare/x',
    ]);
    expect(actions.every((action) => action.do !== 'write' || action.optional)).toBe(true);
  });

  it('a cgroup that holds processes can enable nothing below itself, and says so', () => {
    const { actions, unenforced } = plan(fixture(V2), 'x', { memory: { limit: 1 << 20 }, cpu: { shares: 5 } });
    expect(actions.map(show)).toEqual(['mkdir /sys/fs/cgroup/user.slice/session-1.scope/x']);
    expect(unenforced).toEqual([
      {
        field: 'linux.resources.memory.limit',
        why: 'the cgroup /sys/fs/cgroup/user.slice/session-1.scope holds processes itself, and version 2 then lets it enable no controller for children; start Tare in a scope of its own: systemd-run --scope -p Delegate=yes',
      },
      {
        field: 'linux.resources.cpu.shares',
        why: 'the controller cpu has not been delegated to the cgroup /sys/fs/cgroup/user.slice/session-1.scope',
      },
    ]);
  });

  it('what only version 1 has is named, and is no reason to refuse: engines send it all the same', () => {
    const { actions, unenforced, ignored } = plan(fixture(V2), '/x', {
      memory: { swappiness: 10, disableOOMKiller: true },
      devices: DEFAULT_DEVICE_RULES,
    });
    expect(actions.map(show)).toEqual(['mkdir /sys/fs/cgroup/x', 'program /sys/fs/cgroup/x']);
    expect(unenforced).toEqual([]);
    expect(ignored.map(({ field }) => field)).toEqual([
      'linux.resources.memory.swappiness',
      'linux.resources.memory.disableOOMKiller',
    ]);
  });

  it('files of version 2 may be given by name, limits only', () => {
    const { actions } = plan(fixture(V2), '/x', { unified: { 'memory.high': '1M', 'cgroup.max.depth': '3' } });
    expect(actions.map(show)).toEqual([
      'mkdir /sys/fs/cgroup/x',
      '/sys/fs/cgroup/x/memory.high=1M',
      '/sys/fs/cgroup/x/cgroup.max.depth=3',
    ]);
    for (const file of ['../memory.max', 'memory/max', 'cgroup.procs', 'cgroup.kill', 'memory', ''])
      expect(failureOf(() => plan(fixture(V2), '/x', { unified: { [file]: '1' } })).code, file).toBe('config');
  });

  it('a file that the kernel lacks is named', () => {
    const { '/sys/fs/cgroup/user.slice/session-1.scope/memory.swap.max': _, ...without } = V2;
    const { unenforced } = plan(fixture(without), '/x', { memory: { limit: 1 << 20, swap: 2 << 20 } });
    expect(unenforced).toEqual([{ field: 'linux.resources.memory.swap', why: 'this kernel has no memory.swap.max' }]);
  });
});

describe('in the root of version 2, which has no files of limits to look at', () => {
  const ROOT = {
    ...V2,
    '/proc/self/cgroup': '0::/\n',
    '/proc/sys/kernel/osrelease': '5.14.0-1-amd64\n',
    '/proc/swaps': 'Filename Type Size Used Priority\n',
  };
  const limits: CgroupLimits = { memory: { limit: 1 << 20, swap: 2 << 20 }, cpu: { burst: 1000, idle: 1 } };
  const missing = (files: Readonly<Record<string, string>>) =>
    plan(fixture(files), '/tare/x', limits).unenforced.map(({ why }) => why);

  it('the kernel’s version and its other files tell what it offers', () => {
    expect(missing(ROOT)).toEqual(['this kernel has no cpu.idle']);
    const { '/proc/swaps': _, ...without } = ROOT;
    const old = { ...without, '/proc/sys/kernel/osrelease': '4.19.0\n' };
    expect(missing(old)).toEqual([
      'this kernel has no memory.swap.max',
      'this kernel has no cpu.max.burst',
      'this kernel has no cpu.idle',
    ]);
  });

  it('a cgroup on the way tells better, for the controllers that it has', () => {
    const parent = '/sys/fs/cgroup/tare';
    const files = { ...ROOT, [`${parent}/cgroup.controllers`]: 'memory pids\n', [`${parent}/memory.max`]: 'max\n' };
    expect(missing(files)).toEqual(['this kernel has no memory.swap.max', 'this kernel has no cpu.idle']);
    expect(missing({ ...files, [`${parent}/memory.swap.max`]: 'max\n', [`${parent}/cpu.idle`]: '0\n' })).toEqual([]);
  });
});

describe('device rules', () => {
  const { '/proc/self/mountinfo': mounts, ...more } = HYBRID;
  const withoutV1Devices = {
    ...more,
    '/proc/self/mountinfo': mounts.replace(/^.*\/sys\/fs\/cgroup\/devices .*\n/m, ''),
  };
  const programs = (files: CgroupFiles, devicePrograms?: boolean) => {
    const request = { path: '/x', limits: { devices: DEFAULT_DEVICE_RULES }, devicePrograms };
    const { actions, unenforced } = planCgroup(detectCgroups(files), request, files);
    return {
      programs: actions.filter((action) => action.do === 'device-program').map(({ path }) => path),
      unenforced: unenforced.map(({ field }) => field),
    };
  };

  it.each([
    ['are a program on version 2', V2, ['/sys/fs/cgroup/x']],
    ['are a program on a hybrid host without the controller', withoutV1Devices, ['/sys/fs/cgroup/unified/x']],
    ['are lines for the controller where there is one', HYBRID, []],
  ])('%s', (_, files, paths) => {
    expect(programs(fixture(files))).toEqual({ programs: paths, unenforced: [] });
  });

  it('are named where no program may be loaded', () => {
    expect(programs(fixture(V2), false)).toEqual({ programs: [], unenforced: ['linux.resources.devices'] });
    expect(programs(fixture(V2, ['/sys/fs/cgroup']))).toEqual({
      programs: [],
      unenforced: ['linux.resources.devices'],
    });
    expect(programs(fixture(V1_NESTED))).toEqual({ programs: [], unenforced: ['linux.resources.devices'] });
  });
});

describe('what systemd makes as a scope', () => {
  const inScope = (files: CgroupFiles) => {
    const limits: CgroupLimits = { memory: { limit: 1 << 20 } };
    const request = { path: '/system.slice/x.scope', limits, inScope: true, hierarchies: 'all' } as const;
    const { actions, ...rest } = planCgroup(detectCgroups(files), request, files);
    const later = actions.filter((action) => action.inScope).map(show);
    return { now: actions.filter((action) => !action.inScope).map(show), later, ...rest };
  };

  it('on version 2 is not made before, and limited once it is there', () => {
    const { now, later, into, tasks, places } = inScope(fixture(V2));
    expect(now).toEqual([]);
    expect(later).toEqual([
      '/sys/fs/cgroup/system.slice/cgroup.subtree_control=+memory',
      '/sys/fs/cgroup/system.slice/x.scope/memory.max=1048576',
    ]);
    expect([into, tasks]).toEqual([undefined, []]);
    expect(places.map(({ directory }) => directory)).toEqual(['/sys/fs/cgroup/system.slice/x.scope']);
  });

  it('on a hybrid host is in the hierarchy of its name and in version 2; the others are ours', () => {
    const { now, later, into, tasks } = inScope(fixture(HYBRID));
    expect(now).toContain('/sys/fs/cgroup/memory/system.slice/x.scope/memory.limit_in_bytes=1048576');
    expect(now.filter((action) => /systemd|unified/.test(action))).toEqual([]);
    expect(later).toEqual([]);
    expect(into).toBeUndefined();
    expect(tasks).toContain('/sys/fs/cgroup/memory/system.slice/x.scope/tasks');
    expect(tasks.filter((file) => file.startsWith('/sys/fs/cgroup/systemd/'))).toEqual([]);
  });
});

describe('the container’s user', () => {
  const owned = (files: CgroupFiles) =>
    planCgroup(detectCgroups(files), { path: '/x', owner: 1000 }, files).actions.flatMap((action) =>
      action.do === 'chown' ? [`${action.uid} ${action.path}`] : [],
    );

  it('is given the cgroup of version 2 and the files that the kernel lists, or those that it always had', () => {
    const listed = { ...V2, '/sys/kernel/cgroup/delegate': 'cgroup.procs\ncgroup.threads\nmemory.oom.group\n' };
    const x = '1000 /sys/fs/cgroup/x';
    expect(owned(fixture(listed))).toEqual([x, `${x}/cgroup.procs`, `${x}/cgroup.threads`, `${x}/memory.oom.group`]);
    expect(owned(fixture(V2))).toEqual([x, `${x}/cgroup.procs`, `${x}/cgroup.subtree_control`, `${x}/cgroup.threads`]);
  });

  it('is given none beside version 1', () => {
    expect(owned(fixture(HYBRID))).toEqual([]);
  });
});
