/** What a cgroup takes where there is version 1, alone or beside version 2. */
import { describe, expect, it } from 'vitest';
import { fixture, HYBRID, V1_NESTED } from './fixtures.js';
import { plan, show } from './planned.js';

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
