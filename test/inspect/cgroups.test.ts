import { describe, expect, test } from 'vitest';
import { cgroupLimits, cgroups, type ProcSource } from '../../runtime/inspect/index.js';
import { fakeProc } from './fake-proc.js';

const V1_MOUNTS = `31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
`;
const UNIFIED = '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n';
const V1_CGROUPS = '9:name=systemd:/box\n8:pids:/box\n4:memory:/outer/box\n1:cpu,cpuacct:/box\n';
const V1_FILES = {
  '/sys/fs/cgroup/memory/outer/box/memory.limit_in_bytes': '9223372036854771712\n',
  '/sys/fs/cgroup/memory/outer/memory.limit_in_bytes': '67108864\n',
  '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
  '/sys/fs/cgroup/memory/outer/box/memory.usage_in_bytes': '4096\n',
  '/sys/fs/cgroup/memory/outer/box/memory.memsw.limit_in_bytes': '134217728\n',
  '/sys/fs/cgroup/pids/box/pids.max': '20\n',
  '/sys/fs/cgroup/pids/box/pids.current': '3\n',
  '/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us': '150000\n',
  '/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us': '100000\n',
  '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
  '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
  '/sys/fs/cgroup/cpu,cpuacct/box/cpu.shares': '512\n',
};

function machine(mounts: string, of42: string, files: Record<string, string>): ProcSource {
  return fakeProc({ files: { '/proc/self/mountinfo': mounts, '/proc/42/cgroup': of42, ...files } });
}

const V1_LIMITS = {
  memory: { own: null, effective: 67108864, from: '/sys/fs/cgroup/memory/outer' },
  memoryUsed: 4096,
  swap: { own: 134217728, effective: 134217728, from: '/sys/fs/cgroup/memory/outer/box' },
  pids: { own: 20, effective: 20, from: '/sys/fs/cgroup/pids/box' },
  pidsUsed: 3,
  cpu: { own: 1.5, effective: 1.5, from: '/sys/fs/cgroup/cpu,cpuacct/box' },
  cpuWeight: 512,
};

test('v1: a hierarchy for each controller; a limit above holds below', async () => {
  const source = machine(V1_MOUNTS, V1_CGROUPS, V1_FILES);
  const found = await cgroups(source, 42);
  expect(found.map(({ version, controllers, directory }) => [version, controllers.join(), directory])).toEqual([
    [1, 'name=systemd', '/sys/fs/cgroup/systemd/box'],
    [1, 'pids', '/sys/fs/cgroup/pids/box'],
    [1, 'memory', '/sys/fs/cgroup/memory/outer/box'],
    [1, 'cpu,cpuacct', '/sys/fs/cgroup/cpu,cpuacct/box'],
  ]);
  expect(await cgroupLimits(source, 42)).toEqual(V1_LIMITS);
});

test('hybrid: controllers are in v1, and the v2 hierarchy beside them has none', async () => {
  const source = machine(V1_MOUNTS + UNIFIED, `${V1_CGROUPS}0::/box\n`, {
    ...V1_FILES,
    '/sys/fs/cgroup/unified/box/cgroup.controllers': '\n',
  });
  expect((await cgroups(source, 42)).at(-1)).toEqual({
    version: 2,
    controllers: [],
    path: '/box',
    directory: '/sys/fs/cgroup/unified/box',
    mountPoint: '/sys/fs/cgroup/unified',
  });
  expect(await cgroupLimits(source, 42)).toEqual(V1_LIMITS);
});

describe('v2', () => {
  const mounts = '41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n';
  const at = '/sys/fs/cgroup/a/b';

  test('one hierarchy; the tightest of a cgroup and those above it holds', async () => {
    const source = machine(mounts, '0::/a/b\n', {
      [`${at}/cgroup.controllers`]: 'cpu memory pids\n',
      [`${at}/memory.max`]: '1000000\n',
      [`${at}/memory.swap.max`]: '0\n',
      [`${at}/memory.current`]: '500\n',
      [`${at}/pids.max`]: 'max\n',
      [`${at}/cpu.max`]: 'max 100000\n',
      [`${at}/cpu.weight`]: '100\n',
      '/sys/fs/cgroup/a/memory.max': '2000000\n',
      '/sys/fs/cgroup/a/pids.max': '50\n',
      '/sys/fs/cgroup/a/cpu.max': '20000 100000\n',
    });
    expect(await cgroupLimits(source, 42)).toEqual({
      memory: { own: 1000000, effective: 1000000, from: at },
      memoryUsed: 500,
      swap: { own: 0, effective: 0, from: at },
      pids: { own: null, effective: 50, from: '/sys/fs/cgroup/a' },
      pidsUsed: undefined,
      cpu: { own: null, effective: 0.2, from: '/sys/fs/cgroup/a' },
      cpuWeight: 100,
    });
  });

  test('a controller that is not enabled has no limit to show', async () => {
    const source = machine(mounts, '0::/a/b\n', { [`${at}/cgroup.controllers`]: 'pids\n', [`${at}/pids.max`]: '7\n' });
    const limits = await cgroupLimits(source, 42);
    expect([limits.memory, limits.cpu, limits.pids?.own]).toEqual([undefined, undefined, 7]);
  });

  test('a part that is mounted elsewhere, as in a container without a cgroup namespace', async () => {
    const part = '41 31 0:38 /a /cg rw - cgroup2 cgroup2 rw\n';
    expect((await cgroups(machine(part, '0::/a/b\n', {}), 42))[0]?.directory).toBe('/cg/b');
    expect((await cgroups(machine(part, '0::/a\n', {}), 42))[0]?.directory).toBe('/cg');
    expect((await cgroups(machine(part, '0::/other\n', {}), 42))[0]?.directory).toBe(null);
    expect((await cgroups(machine(part, '0::/ab\n', {}), 42))[0]?.directory).toBe(null);
  });

  test('a path out of the cgroup namespace, or nothing mounted: no directory, no limits, no error', async () => {
    for (const source of [machine(mounts, '0::/../../etc\n', {}), machine('', '0::/a\n', {})]) {
      expect((await cgroups(source, 42))[0]?.directory).toBe(null);
      expect(await cgroupLimits(source, 42)).toEqual({});
    }
  });
});

test.each(['nonsense\n', '0:\n', 'x::/\n', '0::relative\n', '1:a:/\n'.repeat(65)])(
  'hostile: %j is refused',
  async (text) => {
    await expect(cgroups(machine(V1_MOUNTS, text, {}), 42)).rejects.toMatchObject({ code: 'protocol' });
  },
);
