/**
 * What the schema of the runtime specification calls good and bad: for each of its own test documents (schema/test/config)
 * one of ours that keeps or breaks the same rule, and one with every field for Linux at once. config.md, config-linux.md.
 */
import { describe, expect, it } from 'vitest';
import { TareError } from '../../runtime/kernel/error.js';
import { checkConfig, parseConfig } from '../../runtime/oci/index.js';

const least = { ociVersion: '1.0.0', root: { path: 'rootfs' } };

describe('a document that the schema refuses', () => {
  it.each<[theirs: string, rule: string, document: string, path: string | undefined]>([
    ['invalid-json', 'a document is JSON', '{"ociVersion": "1.0.0"', undefined],
    [
      'linux-hugepage',
      'the unit of a page size is in capitals',
      JSON.stringify({ ...least, linux: { resources: { hugepageLimits: [{ pageSize: '2Mb', limit: 4096 }] } } }),
      'linux.resources.hugepageLimits[0].pageSize',
    ],
    [
      'linux-rdma',
      'a number of handles is a number',
      JSON.stringify({ ...least, linux: { resources: { rdma: { rxe0: { hcaHandles: '12' } } } } }),
      'linux.resources.rdma["rxe0"].hcaHandles',
    ],
    [
      'linux-netdevice',
      'the name of a device is a string',
      JSON.stringify({ ...least, linux: { netDevices: { dummy0: { name: 0 } } } }),
      'linux.netDevices["dummy0"].name',
    ],
    [
      'freebsd-vnet-disable',
      'the network stack of a jail is new or inherited',
      JSON.stringify({ ...least, ociVersion: '1.3.0', freebsd: { jail: { vnet: 'disable' } } }),
      'freebsd.jail.vnet',
    ],
  ])('as %s: %s', (_theirs, _rule, document, path) => {
    let thrown: unknown;
    try {
      parseConfig(document);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(TareError);
    expect(thrown).toMatchObject({ code: 'config', ...(path !== undefined && { path }) });
    expect((thrown as TareError).message).toContain(path ?? 'is not valid JSON');
  });
});

describe('a document that the schema takes is valid', () => {
  it.each<[theirs: string, document: object]>([
    ['minimal', least],
    ['minimal-for-start', { ...least, process: { cwd: '/', args: ['true'], user: { uid: 0, gid: 0 } } }],
    ['linux-netdevice', { ...least, linux: { netDevices: { dummy0: { name: 'eth0' }, dummy1: {} } } }],
    ['linux-rdma', { ...least, linux: { resources: { rdma: { rxe0: { hcaHandles: 1 }, rxe1: { hcaObjects: 2 } } } } }],
    ['freebsd-minimal', { ...least, freebsd: {} }],
    ['freebsd-example', { ...least, hostname: 'box', freebsd: { jail: { vnet: 'new', enforceStatfs: 1 } } }],
    ['zos-minimal', { ...least, zos: {} }],
    ['zos-example', { ...least, hostname: 'box', zos: { namespaces: [{ type: 'pid' }, { type: 'ipc', path: '/n' }] } }],
    ['spec-example', { ...everything(), ociVersion: '0.5.0-dev' }],
  ])('as %s', (_theirs, document) => {
    expect(checkConfig(document).faults).toEqual([]);
  });
});

it('has every field of the specification for Linux', () => {
  const { config, faults } = checkConfig(everything());
  expect(faults).toEqual([]);
  expect(config).toEqual(everything());
});

function everything() {
  const maps = [
    { containerID: 0, hostID: 100_000, size: 65_536 },
    { containerID: 65_536, hostID: 1000, size: 1 },
  ];
  const capabilities = ['CAP_KILL', 'CAP_OF_A_KERNEL_TO_COME'];
  const hook = { path: '/usr/bin/hook', args: ['hook', '-v'], env: ['A=b'], timeout: 30 };
  const throttle = [{ major: 8, minor: 0, rate: 600 }];
  return {
    ociVersion: '1.3.0',
    root: { path: '/var/root', readonly: true },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid'] },
      {
        destination: '/data',
        type: 'none',
        source: 'data',
        options: ['rbind', 'ridmap'],
        uidMappings: maps,
        gidMappings: maps,
      },
    ],
    process: {
      terminal: true,
      consoleSize: { height: 24, width: 80 },
      cwd: '/work',
      env: ['PATH=/bin', 'EMPTY='],
      args: ['sh', '-c', 'true'],
      user: { uid: 1, gid: 2, umask: 0o22, additionalGids: [5, 6] },
      rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 1024 }],
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        inheritable: [],
        ambient: [],
      },
      noNewPrivileges: true,
      oomScoreAdj: 100,
      apparmorProfile: 'profile',
      selinuxLabel: 'system_u:system_r:svirt_lxc_net_t:s0:c124,c675',
      scheduler: {
        policy: 'SCHED_DEADLINE',
        nice: 0,
        priority: 0,
        flags: ['SCHED_FLAG_RESET_ON_FORK'],
        runtime: 1_000_000,
        deadline: 2_000_000,
        period: 3_000_000,
      },
      ioPriority: { class: 'IOPRIO_CLASS_IDLE', priority: 4 },
      execCPUAffinity: { initial: '7', final: '0-3,7' },
    },
    hostname: 'box',
    domainname: 'lan',
    hooks: {
      prestart: [hook],
      createRuntime: [hook],
      createContainer: [hook],
      startContainer: [hook],
      poststart: [hook],
      poststop: [{ path: '/bin/true' }],
    },
    annotations: { 'org.example.key': '' },
    linux: {
      namespaces: [
        ...['mount', 'pid', 'network', 'ipc', 'uts', 'user', 'time'].map((type) => ({ type })),
        { type: 'cgroup', path: '/proc/1/ns/cgroup' },
      ],
      uidMappings: maps,
      gidMappings: maps,
      timeOffsets: { monotonic: { secs: -5, nanosecs: 7 }, boottime: { secs: 604_800 } },
      devices: [
        { type: 'c', path: '/dev/fuse', major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 },
        { type: 'p', path: '/run/pipe' },
      ],
      netDevices: { eth1: { name: 'net%d' }, eth2: {} },
      cgroupsPath: '/my/container',
      resources: {
        devices: [{ allow: false }, { allow: true, type: 'c', major: 10, minor: -1, access: 'rw' }],
        memory: {
          limit: 536_870_912,
          reservation: -1,
          swap: 536_870_912,
          kernel: -1,
          kernelTCP: -1,
          swappiness: 0,
          disableOOMKiller: false,
          useHierarchy: true,
          checkBeforeUpdate: true,
        },
        cpu: {
          shares: 1024,
          quota: 1_000_000,
          burst: 1_000_000,
          period: 500_000,
          realtimeRuntime: 950_000,
          realtimePeriod: 1_000_000,
          cpus: '2-3',
          mems: '0-7',
          idle: 0,
        },
        pids: { limit: 32_771 },
        blockIO: {
          weight: 10,
          leafWeight: 10,
          weightDevice: [{ major: 8, minor: 0, weight: 500, leafWeight: 300 }],
          throttleReadBpsDevice: throttle,
          throttleWriteBpsDevice: throttle,
          throttleReadIOPSDevice: throttle,
          throttleWriteIOPSDevice: throttle,
        },
        hugepageLimits: [{ pageSize: '64KB', limit: 1_000_000 }],
        network: { classID: 1_048_577, priorities: [{ name: 'eth0', priority: 500 }] },
        rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10_000 } },
        unified: { 'io.max': '259:0 rbps=2097152' },
      },
      intelRdt: {
        closID: 'group',
        schemata: ['L3:0=7f0;1=1f'],
        l3CacheSchema: 'L3:0=7f0',
        memBwSchema: 'MB:0=20',
        enableMonitoring: true,
      },
      memoryPolicy: { mode: 'MPOL_INTERLEAVE', nodes: '2-3', flags: ['MPOL_F_STATIC_NODES'] },
      sysctl: { 'net.ipv4.ip_forward': '1' },
      seccomp: {
        defaultAction: 'SCMP_ACT_ERRNO',
        defaultErrnoRet: 38,
        architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_LOONGARCH64'],
        flags: ['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'],
        listenerPath: '/run/agent.sock',
        listenerMetadata: 'x',
        syscalls: [
          {
            names: ['clone', 'getcwd'],
            action: 'SCMP_ACT_NOTIFY',
            args: [{ index: 0, value: 2_114_060_288, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
          },
          { names: ['mkdir'], action: 'SCMP_ACT_TRACE', errnoRet: 1 },
        ],
      },
      rootfsPropagation: 'slave',
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
      mountLabel: 'system_u:object_r:svirt_sandbox_file_t:s0:c715,c811',
      personality: { domain: 'LINUX32', flags: [] },
    },
  };
}
