/** The rules between fields: for each a config that breaks it, told by its path, and one beside it that does not. */
import { describe, expect, it } from 'vitest';
import { checkConfig, parseNumberList, validProcess, validResources } from '../../runtime/oci/index.js';
import { type Json, minimal, withField } from './minimal.js';

function faultsOf(config: Json): Json {
  return Object.fromEntries(checkConfig(config).faults.map(({ path, message }) => [path, message]));
}

const map = (containerID: number, hostID: number, size: number) => ({ containerID, hostID, size });
const namespaces = (...types: string[]) => ['mount', 'uts', ...types].map((type) => ({ type }));

describe.each<[field: string, wrong: unknown, at: string, why: string, right: unknown]>([
  ['process.cwd', 'tmp', 'process.cwd', 'an absolute path', '/tmp'],
  ['process.args', [], 'process.args', 'at least the program', ['']],
  ['process.env', ['=x'], 'process.env[0]', 'NAME=value', ['A=']],
  [
    'process.rlimits',
    ['RLIMIT_CPU', 'RLIMIT_CPU'].map((type) => ({ type, soft: 1, hard: 1 })),
    'process.rlimits[1].type',
    'a second time',
    ['RLIMIT_CPU', 'RLIMIT_AS'].map((type) => ({ type, soft: 1, hard: 1 })),
  ],
  [
    'process.scheduler',
    { policy: 'SCHED_BATCH', nice: 20 },
    'process.scheduler.nice',
    'from -20 to 19',
    { policy: 'SCHED_BATCH', nice: 19 },
  ],
  [
    'process.scheduler',
    { policy: 'SCHED_FIFO' },
    'process.scheduler.priority',
    'from 1 to 99',
    { policy: 'SCHED_FIFO', priority: 1 },
  ],
  [
    'process.scheduler',
    { policy: 'SCHED_IDLE', priority: 1 },
    'process.scheduler.priority',
    'for SCHED_FIFO and SCHED_RR',
    { policy: 'SCHED_IDLE', priority: 0 },
  ],
  [
    'process.scheduler',
    { policy: 'SCHED_OTHER', period: 1 },
    'process.scheduler.period',
    'for SCHED_DEADLINE',
    { policy: 'SCHED_OTHER', period: 0 },
  ],
  [
    'process.scheduler',
    { policy: 'SCHED_DEADLINE', runtime: 9, deadline: 8, period: 7 },
    'process.scheduler.runtime',
    'nor above deadline',
    { policy: 'SCHED_DEADLINE', runtime: 7, deadline: 8, period: 9 },
  ],
  [
    'process.scheduler',
    { policy: 'SCHED_DEADLINE', runtime: 2 ** 53, deadline: 2 ** 53, period: 0 },
    'process.scheduler.runtime',
    'are at most 2^53-1 ns',
    { policy: 'SCHED_DEADLINE', runtime: 2 ** 53 - 1, deadline: 2 ** 53 - 1, period: 0 },
  ],
  [
    'process.execCPUAffinity',
    { initial: '0-' },
    'process.execCPUAffinity.initial',
    'numbers and ranges',
    { initial: '0-3, 7', final: '' },
  ],
  [
    'mounts',
    [{ destination: '/a', uidMappings: [map(0, 1, 1)] }],
    'mounts[0].gidMappings',
    'is missing',
    [{ destination: '/a', uidMappings: [map(0, 1, 1)], gidMappings: [map(0, 1, 1)] }],
  ],
  [
    'mounts',
    [{ destination: '/a', options: ['rbind', 'idmap'] }],
    'mounts[0].options[1]',
    'needs uidMappings',
    [{ destination: '/a', options: ['rbind'] }],
  ],
  [
    'hooks',
    { startContainer: [{ path: 'bin/x' }] },
    'hooks.startContainer[0].path',
    'an absolute path',
    { startContainer: [{ path: '/bin/x', timeout: 1 }] },
  ],
  ['annotations', { '': 'x' }, 'annotations[""]', 'no name', { x: '' }],
  [
    'linux.namespaces',
    [{ type: 'mount', path: 'ns/mnt' }],
    'linux.namespaces[0].path',
    'an absolute path',
    [{ type: 'mount', path: '/ns/mnt' }],
  ],
  ['linux.timeOffsets', { monotonic: { secs: 1 } }, 'linux.timeOffsets', 'needs a time namespace', {}],
  ['linux.netDevices', { 'a/b': {} }, 'linux.netDevices["a/b"]', 'name of a network device', { ab: {} }],
  [
    'linux.netDevices',
    { eth0: { name: 'sixteen-letters-' } },
    'linux.netDevices["eth0"].name',
    'name of a network device',
    { eth0: { name: 'fifteen-letters' } },
  ],
  [
    'linux.netDevices',
    { eth0: {}, eth1: { name: 'eth0' } },
    'linux.netDevices["eth1"].name',
    'as another one',
    { eth0: { name: 'a%d' }, eth1: { name: 'a%d' } },
  ],
  [
    'linux.devices',
    [{ path: 'dev/x', type: 'p' }],
    'linux.devices[0].path',
    'an absolute path',
    [{ path: '/dev/x', type: 'p' }],
  ],
  ['linux.readonlyPaths', ['proc'], 'linux.readonlyPaths[0]', 'an absolute path', ['/proc']],
  ['linux.cgroupsPath', 'a/..', 'linux.cgroupsPath', '..', 'a/...'],
  ['linux.resources.memory', { limit: -2 }, 'linux.resources.memory.limit', '-1 for no limit', { limit: -1 }],
  [
    'linux.resources.memory',
    { limit: 8192, swap: 4096 },
    'linux.resources.memory.swap',
    'less than memory alone',
    { limit: 8192, swap: 8192 },
  ],
  ['linux.resources.cpu', { cpus: '3-1' }, 'linux.resources.cpu.cpus', 'numbers and ranges', { cpus: '1-3' }],
  ['linux.resources.cpu', { mems: 'all' }, 'linux.resources.cpu.mems', 'numbers and ranges', { mems: '0' }],
  [
    'linux.resources.cpu',
    { quota: 5, burst: 6 },
    'linux.resources.cpu.burst',
    'larger than quota',
    { quota: -1, burst: 6 },
  ],
  [
    'linux.resources.hugepageLimits',
    [{ pageSize: '2mb', limit: 0 }],
    'linux.resources.hugepageLimits[0].pageSize',
    'as 64KB',
    [{ pageSize: '2MB', limit: 0 }],
  ],
  [
    'linux.resources.blockIO',
    { weightDevice: [{ major: 8, minor: 0 }] },
    'linux.resources.blockIO.weightDevice[0]',
    'weight or leafWeight',
    { weightDevice: [{ major: 8, minor: 0, leafWeight: 1 }] },
  ],
  [
    'linux.resources.rdma',
    { mlx5_1: {} },
    'linux.resources.rdma["mlx5_1"]',
    'hcaHandles or hcaObjects',
    { mlx5_1: { hcaObjects: 0 } },
  ],
  [
    'linux.resources.network',
    { priorities: [{ name: '', priority: 1 }] },
    'linux.resources.network.priorities[0].name',
    'not be empty',
    { priorities: [{ name: 'lo', priority: 1 }] },
  ],
  [
    'linux.resources.unified',
    { '../memory.max': '1' },
    'linux.resources.unified["../memory.max"]',
    'without a slash',
    { 'memory.max': '1' },
  ],
  ['linux.intelRdt', { closID: '../x' }, 'linux.intelRdt.closID', 'name of a class', { closID: '/' }],
  [
    'linux.intelRdt',
    { memBwSchema: 'L3:0=f' },
    'linux.intelRdt.memBwSchema',
    'start with MB:',
    { memBwSchema: 'MB:0=50' },
  ],
  [
    'linux.intelRdt',
    { schemata: ['L3:0=f', 'a\nb'] },
    'linux.intelRdt.schemata[1]',
    'one line',
    { schemata: ['L3:0=f', 'MB:0=50'] },
  ],
  [
    'linux.memoryPolicy',
    { mode: 'MPOL_BIND' },
    'linux.memoryPolicy.nodes',
    'at least one node',
    { mode: 'MPOL_BIND', nodes: '0' },
  ],
  [
    'linux.memoryPolicy',
    { mode: 'MPOL_LOCAL', nodes: '0' },
    'linux.memoryPolicy.nodes',
    'must be empty',
    { mode: 'MPOL_LOCAL' },
  ],
  [
    'linux.memoryPolicy',
    { mode: 'MPOL_PREFERRED', nodes: 'x' },
    'linux.memoryPolicy.nodes',
    'numbers and ranges',
    { mode: 'MPOL_PREFERRED' },
  ],
  [
    'linux.memoryPolicy',
    { mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES', 'MPOL_F_RELATIVE_NODES'] },
    'linux.memoryPolicy.flags',
    'only one',
    { mode: 'MPOL_BIND', nodes: '0', flags: ['MPOL_F_STATIC_NODES'] },
  ],
  [
    'linux.sysctl',
    { 'net..x': '1' },
    'linux.sysctl["net..x"]',
    'not the name',
    { 'net/ipv4/conf/eth0.1/rp_filter': '1' },
  ],
  [
    'linux.seccomp',
    { defaultAction: 'SCMP_ACT_ALLOW', listenerMetadata: 'x' },
    'linux.seccomp.listenerMetadata',
    'needs listenerPath',
    { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/s', listenerMetadata: 'x' },
  ],
  [
    'linux.seccomp',
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: [], action: 'SCMP_ACT_ERRNO' }] },
    'linux.seccomp.syscalls[0].names',
    'not be empty',
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['new_call'], action: 'SCMP_ACT_ERRNO' }] },
  ],
])('%s', (field, wrong, at, why, right) => {
  it(`${JSON.stringify(wrong)} is told as ${at}: ${why}`, () => {
    expect(faultsOf(withField(field, wrong))).toEqual({ [at]: expect.stringContaining(why) });
  });

  it(`${JSON.stringify(right)} is fine`, () => {
    expect(faultsOf(withField(field, right))).toEqual({});
  });
});

describe('a terminal', () => {
  const sized = (terminal: boolean) => ({
    ...minimal(),
    process: { ...minimal().process, terminal, consoleSize: { height: 65_536, width: 80 } },
  });

  it('has a size that fits into its structure', () => {
    expect(faultsOf(sized(true))).toEqual({ 'process.consoleSize.height': expect.stringContaining('at most 65535') });
  });

  it('that is not there has none, whatever is said of it', () => {
    expect(faultsOf(sized(false))).toEqual({});
  });
});

describe('id maps', () => {
  const withUser = (linux: Json, user: Json = { uid: 0, gid: 0 }): Json => ({
    ...minimal(),
    process: { ...minimal().process, user },
    linux: {
      namespaces: namespaces('user'),
      uidMappings: [map(0, 1000, 10)],
      gidMappings: [map(0, 1000, 10)],
      ...linux,
    },
  });

  it('may lie side by side', () => {
    const maps = [map(0, 1000, 10), map(10, 3000, 10), map(20, 3010, 2 ** 32 - 1 - 3010)];
    expect(faultsOf(withUser({ uidMappings: maps, gidMappings: maps }))).toEqual({});
  });

  it.each<[string, Json, string, string]>([
    [
      'overlap inside',
      { uidMappings: [map(0, 1000, 10), map(9, 3000, 10)] },
      'linux.uidMappings[1].containerID',
      'overlaps',
    ],
    [
      'overlap outside',
      { gidMappings: [map(0, 1000, 10), map(10, 991, 10)] },
      'linux.gidMappings[1].hostID',
      'overlaps',
    ],
    [
      'reach beyond the last id',
      { uidMappings: [map(0, 1000, 2 ** 32 - 1)] },
      'linux.uidMappings[0].size',
      'more than there are',
    ],
    [
      'are too many',
      { uidMappings: Array.from({ length: 341 }, (_, i) => map(i, i, 1)) },
      'linux.uidMappings',
      'at most 340',
    ],
    ['are missing', { gidMappings: [] }, 'linux.gidMappings', 'is missing'],
  ])('that %s are no maps', (_, linux, at, why) => {
    expect(faultsOf(withUser(linux))).toEqual({ [at]: expect.stringContaining(why) });
  });

  it('have the user of the process', () => {
    expect(faultsOf(withUser({}, { uid: 10, gid: 9 }))).toEqual({
      'process.user.uid': 'is 10, which linux.uidMappings does not map into the user namespace',
    });
  });

  it('are not asked where a user namespace is joined: containerd repeats its maps, crun does not', () => {
    const joined = [...namespaces(), { type: 'user', path: '/proc/1/ns/user' }];
    expect(faultsOf(withUser({ namespaces: joined }, { uid: 99, gid: 99 }))).toEqual({});
    expect(faultsOf(withUser({ namespaces: joined, uidMappings: undefined, gidMappings: undefined }))).toEqual({});
  });

  it('of a mount follow the same rules', () => {
    const mounts = [{ destination: '/a', uidMappings: [map(0, 5, 2), map(1, 9, 1)], gidMappings: [map(0, 5, 1)] }];
    expect(faultsOf({ ...minimal(), mounts })).toEqual({
      'mounts[0].uidMappings[1].containerID': expect.stringContaining('overlaps'),
    });
  });
});

describe('clock offsets', () => {
  const offset = (time: Json): Json => ({
    ...minimal(),
    linux: { namespaces: [...namespaces(), time], timeOffsets: { boottime: { secs: -1, nanosecs: 5 } } },
  });

  it('are for a new time namespace', () => {
    expect(faultsOf(offset({ type: 'time' }))).toEqual({});
    expect(faultsOf(offset({ type: 'time', path: '/proc/1/ns/time' }))).toEqual({
      'linux.timeOffsets': expect.stringContaining('joined'),
    });
  });
});

describe('a document of its own', () => {
  it('is the process of exec, with paths of its own', () => {
    const process = { cwd: '/', args: ['sh'], user: { uid: 3, gid: 0 } };
    expect(validProcess(process, undefined)).toEqual(process);
    expect(() => validProcess({ ...process, cwd: 'x' }, undefined)).toThrow(
      'process.json: cwd must be an absolute path',
    );
    expect(() => validProcess({ ...process, user: { uid: 'root' } }, undefined)).toThrow(
      'process.json: user.uid must be',
    );
    const linux = { namespaces: [{ type: 'user' as const }], uidMappings: [map(0, 1, 1)], gidMappings: [map(0, 1, 1)] };
    expect(() => validProcess(process, linux)).toThrow('user.uid is 3, which linux.uidMappings does not map');
    expect(() => validProcess('sh', undefined)).toThrow('process.json: the document must be an object');
  });

  it('is the resources of update', () => {
    expect(validResources({ memory: { limit: 5 } })).toEqual({ memory: { limit: 5 } });
    expect(() => validResources({ cpu: { cpus: 'x' } })).toThrow('resources.json: cpu.cpus must be a list');
    expect(() => validResources({ pids: { limit: 'x' } })).toThrow('resources.json: pids.limit must be an integer');
  });
});

describe('a list of numbers', () => {
  it.each<[string, number[] | null]>([
    ['', []],
    ['0', [0]],
    ['7,0-2', [0, 1, 2, 7]],
    [' 1 , 1-2,,', [1, 2]],
    ['2-1', null],
    ['-1', null],
    ['0--1', null],
    ['1;2', null],
    ['0-999999999', null],
    ['0x1', null],
  ])('%j is %j', (text, numbers) => {
    expect(parseNumberList(text)).toEqual(numbers);
  });
});
