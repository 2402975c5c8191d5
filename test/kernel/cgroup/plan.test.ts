import { describe, expect, it } from 'vitest';
import {
  type CgroupAction,
  type CgroupFiles,
  type CgroupLimits,
  type CgroupPlan,
  checkCgroupPath,
  DEFAULT_DEVICE_RULES,
  detectCgroups,
  planCgroup,
  sharesToWeight,
  weightToShares,
} from '../../../runtime/kernel/cgroup/index.js';
import { failureOf } from '../support.js';
import { fixture, HYBRID, V1_NESTED, V2 } from './fixtures.js';

/** `mkdir PATH`, `FILE=VALUE` or `program PATH`: what is done, in order. */
const show = (action: CgroupAction) => {
  if (action.do === 'mkdir') return `mkdir ${action.path}`;
  return action.do === 'write' ? `${action.path}=${action.value}` : `program ${action.path}`;
};

function plan(
  files: CgroupFiles,
  path: string,
  limits: CgroupLimits = {},
  hierarchies: 'all' | 'needed' = 'needed',
): CgroupPlan {
  return planCgroup(detectCgroups(files), { path, limits, hierarchies }, files);
}

describe('the layout', () => {
  it('of version 2 is found with our own cgroup', () => {
    expect(detectCgroups(fixture(V2))).toEqual({
      layout: 'v2',
      hierarchies: [
        {
          version: 2,
          controllers: ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma', 'misc'],
          mountPoint: '/sys/fs/cgroup',
          own: '/sys/fs/cgroup/user.slice/session-1.scope',
        },
      ],
    });
  });

  it('of a hybrid host has each hierarchy once', () => {
    const { layout, hierarchies } = detectCgroups(fixture(HYBRID));
    expect(layout).toBe('hybrid');
    expect(hierarchies.map(({ version, controllers, own }) => `${version} ${controllers} ${own}`)).toEqual([
      '2  /sys/fs/cgroup/unified/user.slice/session-1.scope',
      '1 name=systemd /sys/fs/cgroup/systemd/user.slice/session-1.scope',
      '1 cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct/user.slice',
      '1 memory /sys/fs/cgroup/memory/user.slice',
      '1 pids /sys/fs/cgroup/pids/user.slice/session-1.scope',
      '1 cpuset /sys/fs/cgroup/cpuset',
      '1 devices /sys/fs/cgroup/devices/user.slice',
      '1 freezer /sys/fs/cgroup/freezer',
    ]);
  });

  it('of a part of version 1 is found through the mounts’ roots', () => {
    const { layout, hierarchies } = detectCgroups(fixture(V1_NESTED));
    expect(layout).toBe('v1');
    expect(hierarchies.map(({ own }) => own)).toEqual([
      '/sys/fs/cgroup/memory',
      '/sys/fs/cgroup/pids/mine',
      '/sys/fs/cgroup/freezer',
    ]);
  });

  it('may be none', () => {
    expect(detectCgroups(fixture({}))).toEqual({ layout: 'none', hierarchies: [] });
    expect(plan(fixture({}), '/tare/x')).toEqual({ places: [], actions: [], tasks: [], unenforced: [], ignored: [] });
  });

  it('of this machine is found', () => {
    const host = detectCgroups();
    for (const hierarchy of host.hierarchies) expect(hierarchy.own.startsWith(hierarchy.mountPoint)).toBe(true);
  });
});

describe('the path', () => {
  it.each([
    ['/tare/x', '/tare/x'],
    ['//tare///x/', '/tare/x'],
    ['tare/x', 'tare/x'],
    ['...', '...'],
  ])('%j is %j', (path, checked) => {
    expect(checkCgroupPath(path)).toBe(checked);
  });

  it.each([
    ['/tare/../x', 'has a component "." or ".."'],
    ['..', 'has a component "." or ".."'],
    ['a/./b', 'has a component "." or ".."'],
    ['', 'names no cgroup of its own'],
    ['/', 'names no cgroup of its own'],
    ['a\nb', 'has a control character'],
    ['a\0b', 'has a control character'],
    ['system.slice:tare:x', 'is systemd’s form slice:prefix:name; give a plain path, such as /tare/name'],
    ['x'.repeat(256), 'has a component of more than 255 bytes'],
    ['x/'.repeat(2000), 'is longer than 2048 bytes'],
  ])('%j is refused', (path, why) => {
    expect(failureOf(() => checkCgroupPath(path))).toMatchObject({
      code: 'config',
      path: 'linux.cgroupsPath',
      message: `the cgroup path ${JSON.stringify(path)} ${why}`,
    });
  });
});

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

describe('on a hybrid host', () => {
  it('version 1 files are written where they lie, and both versions entered', () => {
    const { actions, ...rest } = plan(fixture(HYBRID), '/tare/x', {
      memory: { limit: 64 << 20, swap: -1, reservation: 32 << 20, swappiness: 0, disableOOMKiller: true },
      pids: { limit: 100 },
      cpu: { shares: 512, quota: -1, period: 50_000, burst: 0, idle: 0 },
    });
    expect(actions.map(show)).toEqual([
      'mkdir /sys/fs/cgroup/unified/tare',
      'mkdir /sys/fs/cgroup/unified/tare/x',
      'mkdir /sys/fs/cgroup/cpu,cpuacct/tare',
      'mkdir /sys/fs/cgroup/cpu,cpuacct/tare/x',
      '/sys/fs/cgroup/cpu,cpuacct/tare/x/cpu.shares=512',
      '/sys/fs/cgroup/cpu,cpuacct/tare/x/cpu.cfs_period_us=50000',
      '/sys/fs/cgroup/cpu,cpuacct/tare/x/cpu.cfs_quota_us=-1',
      '/sys/fs/cgroup/cpu,cpuacct/tare/x/cpu.cfs_burst_us=0',
      'mkdir /sys/fs/cgroup/memory/tare',
      'mkdir /sys/fs/cgroup/memory/tare/x',
      '/sys/fs/cgroup/memory/tare/x/memory.limit_in_bytes=67108864',
      '/sys/fs/cgroup/memory/tare/x/memory.memsw.limit_in_bytes=-1',
      '/sys/fs/cgroup/memory/tare/x/memory.soft_limit_in_bytes=33554432',
      '/sys/fs/cgroup/memory/tare/x/memory.swappiness=0',
      '/sys/fs/cgroup/memory/tare/x/memory.oom_control=1',
      'mkdir /sys/fs/cgroup/pids/tare',
      'mkdir /sys/fs/cgroup/pids/tare/x',
      '/sys/fs/cgroup/pids/tare/x/pids.max=100',
    ]);
    expect(rest).toMatchObject({
      tasks: [
        '/sys/fs/cgroup/cpu,cpuacct/tare/x/tasks',
        '/sys/fs/cgroup/memory/tare/x/tasks',
        '/sys/fs/cgroup/pids/tare/x/tasks',
      ],
      into: '/sys/fs/cgroup/unified/tare/x',
      unenforced: [{ field: 'linux.resources.cpu.idle', why: 'this kernel has no cpu.idle' }],
    });
  });

  it('a relative path lies below our own cgroup of each hierarchy', () => {
    const { places } = plan(fixture(HYBRID), 'x', { memory: { limit: 1 }, pids: { limit: 1 } });
    expect(places.map(({ directory }) => directory)).toEqual([
      '/sys/fs/cgroup/unified/user.slice/session-1.scope/x',
      '/sys/fs/cgroup/memory/user.slice/x',
      '/sys/fs/cgroup/pids/user.slice/session-1.scope/x',
    ]);
  });

  it('with all hierarchies, a cgroup is made in each, and a cpuset takes over its parent’s processors', () => {
    const { actions, places } = plan(fixture(HYBRID), '/tare/x', {}, 'all');
    expect(places).toHaveLength(8);
    expect(actions.filter((action) => action.do === 'write').map(show)).toEqual([
      '/sys/fs/cgroup/cpuset/tare/cpuset.cpus=0-3',
      '/sys/fs/cgroup/cpuset/tare/cpuset.mems=0',
      '/sys/fs/cgroup/cpuset/tare/x/cpuset.cpus=0-3',
      '/sys/fs/cgroup/cpuset/tare/x/cpuset.mems=0',
    ]);
  });

  it('a cpuset of our own inherits only what is not given', () => {
    const { actions } = plan(fixture(HYBRID), '/x', { cpu: { cpus: '1,3' } });
    expect(actions.filter(({ path }) => path.includes('cpuset')).map(show)).toEqual([
      'mkdir /sys/fs/cgroup/cpuset/x',
      '/sys/fs/cgroup/cpuset/x/cpuset.mems=0',
      '/sys/fs/cgroup/cpuset/x/cpuset.cpus=1,3',
    ]);
  });

  it('devices are allowed by rule, in order', () => {
    const { actions } = plan(fixture(HYBRID), '/x', {
      devices: [
        { allow: false },
        { allow: true, type: 'c', major: 1, minor: 3, access: 'rw' },
        { allow: true, type: 'b', major: 8 },
        { allow: true, major: 1, access: 'm' },
      ],
    });
    expect(actions.filter((action) => action.do === 'write').map(show)).toEqual([
      '/sys/fs/cgroup/devices/x/devices.deny=a *:* rwm',
      '/sys/fs/cgroup/devices/x/devices.allow=c 1:3 rw',
      '/sys/fs/cgroup/devices/x/devices.allow=b 8:* rwm',
      // Not `a 1:* m`: the kernel would allow all of everything.
      '/sys/fs/cgroup/devices/x/devices.allow=b 1:* m',
      '/sys/fs/cgroup/devices/x/devices.allow=c 1:* m',
    ]);
  });

  it('swap accounting may be switched off', () => {
    const { '/sys/fs/cgroup/memory/user.slice/memory.memsw.limit_in_bytes': _, ...without } = HYBRID;
    const { unenforced } = plan(fixture(without), '/x', { memory: { limit: 1, swap: 2 } });
    expect(unenforced).toEqual([
      { field: 'linux.resources.memory.swap', why: 'this kernel has no memory.memsw.limit_in_bytes' },
    ]);
  });

  it('files of version 2 are not taken for others', () => {
    const { unenforced } = plan(fixture(HYBRID), '/x', { unified: { 'memory.high': '1' } });
    expect(unenforced).toEqual([
      {
        field: 'linux.resources.unified["memory.high"]',
        why: 'no cgroup of version 2 has the controller memory here',
      },
    ]);
  });
});

describe('on version 1', () => {
  it('the freezer is always entered: there is nothing else to kill with', () => {
    const { tasks, into, places } = plan(fixture(V1_NESTED), 'x', { pids: { limit: 0 } });
    expect(tasks).toEqual(['/sys/fs/cgroup/pids/mine/x/tasks', '/sys/fs/cgroup/freezer/x/tasks']);
    expect(into).toBeUndefined();
    expect(places).toHaveLength(2);
  });

  it('a controller that is not mounted is named, field by field', () => {
    const { unenforced } = plan(fixture(V1_NESTED), '/x', {
      cpu: { shares: 5, cpus: '0' },
      unified: { 'cgroup.max.depth': '1' },
    });
    expect(unenforced.map(({ field, why }) => `${field}: ${why}`)).toEqual([
      'linux.resources.cpu.shares: no cgroup has the controller cpu here',
      'linux.resources.cpu.cpus: no cgroup has the controller cpuset here',
      'linux.resources.unified["cgroup.max.depth"]: this machine has no cgroups of version 2',
    ]);
  });
});

describe('who may not write', () => {
  it('gets no cgroup, and is told which limits do not hold', () => {
    const files = fixture(HYBRID, ['/sys/fs/cgroup']);
    const { places, actions, unenforced } = plan(files, '/x', { memory: { limit: 5 } }, 'all');
    expect([places, actions]).toEqual([[], []]);
    expect(unenforced.map(({ field }) => field)).toEqual(['linux.resources.memory.limit']);
  });

  it('gets those that were delegated', () => {
    const files = fixture(HYBRID, ['/sys/fs/cgroup/memory', '/sys/fs/cgroup/cpu', '/sys/fs/cgroup/unified']);
    expect(plan(files, 'x', { pids: { limit: 5 } }).places.map(({ controllers }) => controllers)).toEqual([['pids']]);
  });
});

describe('limits', () => {
  it('of no sense are refused by field', () => {
    const refuse = (limits: CgroupLimits) => failureOf(() => plan(fixture(V2), '/x', limits));
    expect(refuse({ memory: { limit: 100, swap: 50 } })).toMatchObject({
      code: 'config',
      path: 'linux.resources.memory.swap',
    });
    expect(refuse({ memory: { swap: 50 } }).message).toBe(
      'memory.swap counts memory and swap together, so it needs memory.limit',
    );
    expect(refuse({ cpu: { cpus: '0,,1' } })).toMatchObject({ code: 'config', path: 'linux.resources.cpu.cpus' });
    const device = failureOf(() => plan(fixture(HYBRID), '/x', { devices: [{ allow: true, access: 'x' }] }));
    expect(device).toMatchObject({ code: 'config', path: 'linux.resources.devices[0].access' });
  });

  it.each([
    [-1, 'max'],
    [0, '1'],
    [7, '7'],
  ])('of %i processes is written as %s', (limit, value) => {
    expect(plan(fixture(V2), '/x', { pids: { limit } }).actions.map(show)).toContain(
      `/sys/fs/cgroup/x/pids.max=${value}`,
    );
  });

  it.each([
    [2, 1],
    [1024, 100],
    [262144, 10000],
  ])('%i shares are the weight %i: both ends and the defaults meet', (shares, weight) => {
    expect(sharesToWeight(shares)).toBe(weight);
    expect(sharesToWeight(weightToShares(weight))).toBe(weight);
  });

  it('more shares are never less weight', () => {
    let last = 0;
    for (let shares = 2; shares <= 262144; shares = Math.ceil(shares * 1.05)) {
      const weight = sharesToWeight(shares);
      expect(weight).toBeGreaterThanOrEqual(last);
      expect(weight).toBeLessThanOrEqual(10000);
      last = weight;
    }
  });

  describe('a cgroup that is there already', () => {
    const there = (files: Readonly<Record<string, string>>) => fixture({ ...V2, ...files });
    const X = '/sys/fs/cgroup/tare/x';

    it('is taken over when nobody is in it, as engines make it', () => {
      const files = there({ [`${X}/cgroup.procs`]: '', [`${X}/cgroup.events`]: 'populated 0\nfrozen 0\n' });
      const { actions, places } = plan(files, '/tare/x', { pids: { limit: 5 } });
      expect(actions.map(show)).toEqual(['/sys/fs/cgroup/tare/cgroup.subtree_control=+pids', `${X}/pids.max=5`]);
      expect(places.map(({ directory }) => directory)).toEqual([X]);
    });

    it.each([
      ['is not empty, another container or process is in it', { [`${X}/cgroup.procs`]: '12\n' }],
      [
        'is not empty, another container or process is in it',
        { [`${X}/cgroup.procs`]: '', [`${X}/cgroup.events`]: 'populated 1\nfrozen 0\n' },
      ],
      ['unexpectedly frozen', { [`${X}/cgroup.procs`]: '', [`${X}/cgroup.events`]: 'populated 0\nfrozen 1\n' }],
    ])('is refused when it %s', (why, files) => {
      const text = `container's cgroup ${why}: ${X}`;
      expect(failureOf(() => plan(there(files), '/tare/x'))).toMatchObject({ code: 'exists', message: text });
    });

    it('is refused on version 1 by its freezer', () => {
      const files = fixture({ ...HYBRID, '/sys/fs/cgroup/freezer/x/freezer.state': 'FROZEN\n' });
      expect(failureOf(() => plan(files, '/x', {}, 'all')).message).toBe(
        "container's cgroup unexpectedly frozen: /sys/fs/cgroup/freezer/x",
      );
    });

    it('on the way that holds processes can enable nothing for the one below, which is said', () => {
      const parent = '/sys/fs/cgroup/pod';
      const files = there({
        [`${parent}/cgroup.procs`]: '7\n',
        [`${parent}/cgroup.type`]: 'domain\n',
        [`${parent}/cgroup.subtree_control`]: 'pids\n',
      });
      const limits: CgroupLimits = { pids: { limit: 5 }, memory: { limit: 1 << 20 } };
      const { actions, unenforced } = plan(files, '/pod/x', limits, 'all');
      expect(actions.map(show).filter((action) => action.startsWith(`${parent}/cgroup`))).toEqual([]);
      expect(actions.map(show)).toContain('/sys/fs/cgroup/pod/x/pids.max=5');
      expect(unenforced).toMatchObject([
        {
          field: 'linux.resources.memory.limit',
          why: expect.stringContaining('the cgroup /sys/fs/cgroup/pod holds processes itself'),
        },
      ]);
    });
  });
});
