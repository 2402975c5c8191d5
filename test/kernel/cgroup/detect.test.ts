/** Which hierarchies a machine has, and where we are in them. */
import { describe, expect, it } from 'vitest';
import { detectCgroups } from '../../../runtime/kernel/cgroup/index.js';
import { fixture, HYBRID, V1_NESTED, V2 } from './fixtures.js';
import { plan } from './planned.js';

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
