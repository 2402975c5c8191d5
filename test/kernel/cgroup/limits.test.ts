/** What each limit of config.json becomes on version 1 and on version 2, field by field, and what a machine without its controller says. */
import { describe, expect, it } from 'vitest';
import type { CgroupLimits } from '../../../runtime/kernel/cgroup/index.js';
import { realiseLimits } from '../../../runtime/kernel/cgroup/limits.js';
import { firstOffered, type Setting } from '../../../runtime/kernel/cgroup/setting.js';
import { failureOf } from '../support.js';

/** `FILE=VALUE` on a kernel that has every file but those. */
function files(limits: CgroupLimits, version: 1 | 2, ...missing: readonly string[]): string[] {
  const versionOf = (name: string) =>
    name === 'blkio' && version === 2 ? undefined : name === 'io' && version === 1 ? undefined : version;
  const isThere = ({ file }: Setting) => !missing.includes(file);
  return realiseLimits(limits, versionOf).settings.flatMap((setting) => {
    const found = firstOffered(setting, isThere);
    if (found === undefined) return [`${setting.field} is lost`];
    return found === 'nothing' ? [] : [`${found.file}=${found.value}`];
  });
}

const G = 2 ** 30;

describe('on version 1 and on version 2', () => {
  it.each<[string, CgroupLimits, string[], string[]]>([
    [
      'no limit of memory is none of swap either',
      { memory: { limit: -1 } },
      ['memory.limit_in_bytes=-1', 'memory.memsw.limit_in_bytes=-1'],
      ['memory.max=max', 'memory.swap.max=max'],
    ],
    [
      'no limit of memory with one of swap',
      { memory: { limit: -1, swap: G } },
      ['memory.limit_in_bytes=-1', `memory.memsw.limit_in_bytes=${G}`],
      ['memory.max=max', `memory.swap.max=${G}`],
    ],
    [
      'as much swap as memory is no swap',
      { memory: { limit: G, swap: G } },
      [`memory.limit_in_bytes=${G}`, `memory.memsw.limit_in_bytes=${G}`],
      [`memory.max=${G}`, 'memory.swap.max=0'],
    ],
    ['memory of 0 asks for nothing', { memory: { limit: 0, swap: 0, reservation: 0 } }, [], []],
    ['a reservation', { memory: { reservation: G } }, [`memory.soft_limit_in_bytes=${G}`], [`memory.low=${G}`]],
    ['swappiness', { memory: { swappiness: 0 } }, ['memory.swappiness=0'], []],
    ['swappiness as Docker sends it when it is not set', { memory: { swappiness: 2 ** 64 } }, [], []],
    ['no OOM killer', { memory: { disableOOMKiller: true } }, ['memory.oom_control=1'], []],
    ['an OOM killer', { memory: { disableOOMKiller: false } }, [], []],
    ['shares', { cpu: { shares: 1024 } }, ['cpu.shares=1024'], ['cpu.weight=100']],
    ['a quota alone', { cpu: { quota: 5000 } }, ['cpu.cfs_quota_us=5000'], ['cpu.max=5000 100000']],
    ['a period alone', { cpu: { period: 50_000 } }, ['cpu.cfs_period_us=50000'], ['cpu.max=max 50000']],
    [
      'bursts come after the quota',
      { cpu: { burst: 0, quota: 5000 } },
      ['cpu.cfs_quota_us=5000', 'cpu.cfs_burst_us=0'],
      ['cpu.max=5000 100000', 'cpu.max.burst=0'],
    ],
    [
      'idle comes after the weight',
      { cpu: { idle: 1, shares: 2 } },
      ['cpu.shares=2', 'cpu.idle=1'],
      ['cpu.weight=1', 'cpu.idle=1'],
    ],
    [
      'processors',
      { cpu: { cpus: '0-3:1/2,7', mems: '0' } },
      ['cpuset.cpus=0-3:1/2,7', 'cpuset.mems=0'],
      ['cpuset.cpus=0-3:1/2,7', 'cpuset.mems=0'],
    ],
    [
      'rates of disks',
      {
        blockIO: {
          throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }],
          throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 2 ** 64 }],
          throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 0 }],
          throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 300 }],
        },
      },
      [
        'blkio.throttle.read_bps_device=8:0 600',
        'blkio.throttle.write_bps_device=8:0 18446744073709551615',
        'blkio.throttle.read_iops_device=8:0 0',
        'blkio.throttle.write_iops_device=8:16 300',
      ],
      ['io.max=8:0 rbps=600', 'io.max=8:0 wbps=18446744073709551615', 'io.max=8:0 riops=max', 'io.max=8:16 wiops=300'],
    ],
    [
      'huge pages, in use and reserved',
      {
        hugepageLimits: [
          { pageSize: '2MB', limit: 0 },
          { pageSize: '1GB', limit: G },
        ],
      },
      [
        'hugetlb.2MB.limit_in_bytes=0',
        'hugetlb.2MB.rsvd.limit_in_bytes=0',
        `hugetlb.1GB.limit_in_bytes=${G}`,
        `hugetlb.1GB.rsvd.limit_in_bytes=${G}`,
      ],
      ['hugetlb.2MB.max=0', 'hugetlb.2MB.rsvd.max=0', `hugetlb.1GB.max=${G}`, `hugetlb.1GB.rsvd.max=${G}`],
    ],
    [
      'RDMA devices',
      { rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10_000 }, rxe3: { hcaObjects: 5 } } },
      ['rdma.max=mlx5_1 hca_handle=3 hca_object=10000', 'rdma.max=rxe3 hca_object=5'],
      ['rdma.max=mlx5_1 hca_handle=3 hca_object=10000', 'rdma.max=rxe3 hca_object=5'],
    ],
    ['processes', { pids: { limit: 5 } }, ['pids.max=5'], ['pids.max=5']],
    [
      'what Docker sends that asks for nothing',
      { memory: {}, cpu: {}, blockIO: { weight: 0, weightDevice: [] }, pids: {}, network: {} },
      [],
      [],
    ],
  ])('%s', (_, limits, one, two) => {
    expect([files(limits, 1), files(limits, 2)]).toEqual([one, two]);
  });

  it('weights of disks go to the scheduler that there is', () => {
    const limits: CgroupLimits = { blockIO: { weight: 750, weightDevice: [{ major: 8, minor: 0, weight: 10 }] } };
    expect(files(limits, 1)).toEqual(['blkio.weight=750', 'blkio.weight_device=8:0 10']);
    const bfq = ['blkio.bfq.weight=750', 'blkio.bfq.weight_device=8:0 10'];
    expect(files(limits, 1, 'blkio.weight', 'blkio.weight_device')).toEqual(bfq);
    expect(
      files(limits, 1, 'blkio.weight', 'blkio.weight_device', 'blkio.bfq.weight', 'blkio.bfq.weight_device'),
    ).toEqual(['linux.resources.blockIO.weight is lost', 'linux.resources.blockIO.weightDevice[0] is lost']);
    expect(files(limits, 2)).toEqual(['io.bfq.weight=750', 'io.bfq.weight=8:0 10']);
    expect(files(limits, 2, 'io.bfq.weight')).toEqual(['io.weight=7475', 'io.weight=8:0 1']);
    expect(files({ blockIO: { leafWeight: 20 } }, 1)).toEqual(['blkio.leaf_weight=20']);
  });

  it('a swap limit is lost where swap is not counted, but not that there is none, or all', () => {
    const swap = (limit: number, sum: number) => files({ memory: { limit, swap: sum } }, 2, 'memory.swap.max');
    expect(swap(G, 2 * G)).toEqual([`memory.max=${G}`, 'linux.resources.memory.swap is lost']);
    expect(swap(G, G)).toEqual([`memory.max=${G}`]);
    expect(swap(G, -1)).toEqual([`memory.max=${G}`]);
    expect(files({ memory: { limit: -1 } }, 1, 'memory.memsw.limit_in_bytes')).toEqual(['memory.limit_in_bytes=-1']);
  });

  it('reservations of huge pages are left out of older kernels', () => {
    const limits: CgroupLimits = { hugepageLimits: [{ pageSize: '2MB', limit: 5 }] };
    expect(files(limits, 2, 'hugetlb.2MB.rsvd.max')).toEqual(['hugetlb.2MB.max=5']);
  });

  it('network classes and real-time limits are of version 1 alone', () => {
    const limits: CgroupLimits = {
      network: { classID: 0x100001, priorities: [{ name: 'eth0', priority: 500 }] },
      cpu: { realtimePeriod: 1_000_000, realtimeRuntime: 950_000 },
    };
    expect(files(limits, 1)).toEqual([
      'cpu.rt_period_us=1000000',
      'cpu.rt_runtime_us=950000',
      'net_cls.classid=1048577',
      'net_prio.ifpriomap=eth0 500',
    ]);
    const { settings, unenforced } = realiseLimits(limits, (name) => (name === 'cpu' ? 2 : undefined));
    expect(settings).toEqual([]);
    expect(unenforced.map(({ field, why }) => `${field}: ${why}`)).toEqual([
      'linux.resources.cpu.realtimePeriod: version 2 has no limit of real-time scheduling',
      'linux.resources.cpu.realtimeRuntime: version 2 has no limit of real-time scheduling',
      'linux.resources.network.classID: no cgroup has the controller net_cls here',
      'linux.resources.network.priorities: no cgroup has the controller net_prio here',
    ]);
  });

  it('raw values of version 2 may be several lines', () => {
    const unified = { 'io.max': '8:0 rbps=1\n8:16 rbps=2\n', 'hugetlb.1GB.max': '0', 'cgroup.pressure': '0' };
    expect(files({ unified }, 2)).toEqual([
      'io.max=8:0 rbps=1',
      'io.max=8:16 rbps=2',
      'hugetlb.1GB.max=0',
      'cgroup.pressure=0',
    ]);
  });
});

it('without any controller, what asks for something is named, and nothing else', () => {
  const nothing: CgroupLimits = {
    memory: { limit: -1, swap: 0, swappiness: 2 ** 64, disableOOMKiller: false, checkBeforeUpdate: true },
    cpu: { shares: 0, quota: -1, cpus: '' },
    pids: { limit: -1 },
    blockIO: { weight: 0, throttleReadBpsDevice: [] },
    network: { classID: 0, priorities: [] },
    hugepageLimits: [],
    rdma: {},
  };
  const missing = (limits: CgroupLimits) => realiseLimits(limits, () => undefined).unenforced.map(({ field }) => field);
  expect(missing(nothing)).toEqual([]);
  expect(
    missing({ memory: { swappiness: 0 }, blockIO: { weight: 10 }, hugepageLimits: [{ pageSize: '2MB', limit: 0 }] }),
  ).toEqual(['linux.resources.memory.swappiness', 'linux.resources.blockIO.weight', 'linux.resources.hugepageLimits']);
});

it('what the kernel has no use for any more is ignored, and said', () => {
  const limits: CgroupLimits = { memory: { kernel: 5, kernelTCP: 5, useHierarchy: false } };
  expect(realiseLimits(limits, () => 1).ignored.map(({ field }) => field)).toEqual([
    'linux.resources.memory.kernel',
    'linux.resources.memory.kernelTCP',
    'linux.resources.memory.useHierarchy',
  ]);
});

it.each<[CgroupLimits, string, string]>([
  [{ memory: { swappiness: 201 } }, 'memory.swappiness', 'memory.swappiness 201 is not from 0 to 200'],
  [{ blockIO: { weight: 5 } }, 'blockIO.weight', 'weight 5 is not from 10 to 1000'],
  [
    { blockIO: { weightDevice: [{ major: 8, minor: 0, leafWeight: 1001 }] } },
    'blockIO.weightDevice[0].leafWeight',
    'weightDevice[0].leafWeight 1001 is not from 10 to 1000',
  ],
  [
    { hugepageLimits: [{ pageSize: '2MB/../x', limit: 0 }] },
    'hugepageLimits[0].pageSize',
    'linux.resources.hugepageLimits[0].pageSize "2MB/../x" is no size such as 64KB, 2MB or 1GB',
  ],
  [
    { network: { priorities: [{ name: 'a b', priority: 1 }] } },
    'network.priorities[0].name',
    'network.priorities[0].name "a b" is no network interface',
  ],
  [{ rdma: { x: {} } }, 'rdma["x"]', 'linux.resources.rdma["x"] must have hcaHandles or hcaObjects'],
  [{ rdma: { 'x y': { hcaHandles: 1 } } }, 'rdma["x y"]', 'linux.resources.rdma["x y"]: "x y" is no RDMA device'],
])('%j is refused', (limits, path, message) => {
  expect(failureOf(() => realiseLimits(limits, () => 1))).toMatchObject({
    code: 'config',
    path: `linux.resources.${path}`,
    message,
  });
});
