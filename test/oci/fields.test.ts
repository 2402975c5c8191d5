/** What each field of config.json may hold: one wrong value a line, with the path by which it is told. */
import { describe, expect, it } from 'vitest';
import { checkConfig, parseConfig } from '../../runtime/oci/index.js';
import { type Json, minimal, withField } from './minimal.js';

const TOO_LARGE = 2 ** 32;

it.each<[path: string, value: unknown, at: string, why: string]>([
  ['process.user', 7, 'process.user', 'an object'],
  ['process.user.umask', 0o1000, 'process.user.umask', 'from 0 to 511'],
  ['process.user.additionalGids', ['5'], 'process.user.additionalGids[0]', 'an integer'],
  ['process.rlimits', [{ type: 'RLIMIT_FOO', soft: 1, hard: 1 }], 'process.rlimits[0].type', 'one of RLIMIT_CPU'],
  ['process.rlimits', [{ type: 'RLIMIT_CPU', soft: 1 }], 'process.rlimits[0].hard', 'is missing'],
  ['process.scheduler', {}, 'process.scheduler.policy', 'is missing'],
  ['process.scheduler', { policy: 'SCHED_FAST' }, 'process.scheduler.policy', 'one of SCHED_OTHER'],
  ['process.scheduler', { policy: 'SCHED_RR', flags: ['FAST'] }, 'process.scheduler.flags[0]', 'one of SCHED_FLAG'],
  ['process.scheduler', { policy: 'SCHED_OTHER', nice: 2 ** 31 }, 'process.scheduler.nice', 'from -2147483648'],
  ['process.ioPriority', { priority: 4 }, 'process.ioPriority.class', 'is missing'],
  ['process.ioPriority', { class: 'IOPRIO_CLASS_NONE' }, 'process.ioPriority.class', 'one of IOPRIO_CLASS_RT'],
  ['process.ioPriority', { class: 'IOPRIO_CLASS_BE', priority: 8 }, 'process.ioPriority.priority', 'from 0 to 7'],
  ['process.execCPUAffinity', { final: 3 }, 'process.execCPUAffinity.final', 'a string'],
  ['process.selinuxLabel', 1, 'process.selinuxLabel', 'a string'],
  ['process.capabilities', { bounding: 'ALL' }, 'process.capabilities.bounding', 'a list'],
  ['hooks', { createRuntime: [{ args: ['a'] }] }, 'hooks.createRuntime[0].path', 'is missing'],
  ['hooks', { poststop: [{ path: '/a', timeout: 0 }] }, 'hooks.poststop[0].timeout', 'from 1 to'],
  ['hooks', { poststart: [{ path: '/a', timeout: 1.5 }] }, 'hooks.poststart[0].timeout', 'an integer'],
  ['hooks', { prestart: { path: '/a' } }, 'hooks.prestart', 'a list'],
  ['annotations', { a: 1 }, 'annotations["a"]', 'a string'],
  ['mounts', [{ destination: '/a', options: 'ro' }], 'mounts[0].options', 'a list'],
  [
    'mounts',
    [{ destination: '/a', uidMappings: [{ containerID: 0, hostID: 0 }] }],
    'mounts[0].uidMappings[0].size',
    'is missing',
  ],
  ['linux.uidMappings', [{ containerID: 0, hostID: 0, size: 0 }], 'linux.uidMappings[0].size', 'from 1 to'],
  ['linux.timeOffsets', { monotonic: { secs: '1' } }, 'linux.timeOffsets.monotonic.secs', 'an integer'],
  ['linux.timeOffsets', { boottime: { nanosecs: 1e9 } }, 'linux.timeOffsets.boottime.nanosecs', 'from 0 to 999999999'],
  ['linux.timeOffsets', { realtime: { secs: 1 } }, 'linux.timeOffsets["realtime"]', 'is none of monotonic, boottime'],
  ['linux.devices', [{ path: '/dev/x', type: 'x' }], 'linux.devices[0].type', 'one of c, u, b, p'],
  ['linux.devices', [{ path: '/dev/x', type: 'c', major: 4096, minor: 0 }], 'linux.devices[0].major', 'from 0 to 4095'],
  ['linux.netDevices', { eth0: 'eth1' }, 'linux.netDevices["eth0"]', 'an object'],
  ['linux.intelRdt', { schemata: 'L3:0=f' }, 'linux.intelRdt.schemata', 'a list'],
  ['linux.intelRdt', { enableMonitoring: 'yes' }, 'linux.intelRdt.enableMonitoring', 'true or false'],
  ['linux.memoryPolicy', { nodes: '0' }, 'linux.memoryPolicy.mode', 'is missing'],
  ['linux.memoryPolicy', { mode: 'MPOL_BEST' }, 'linux.memoryPolicy.mode', 'one of MPOL_DEFAULT'],
  ['linux.memoryPolicy', { mode: 'MPOL_LOCAL', flags: ['X'] }, 'linux.memoryPolicy.flags[0]', 'one of MPOL_F_'],
  ['linux.personality', { domain: 'LINUX64' }, 'linux.personality.domain', 'one of LINUX, LINUX32'],
  [
    'linux.personality',
    { domain: 'LINUX', flags: ['X'] },
    'linux.personality.flags[0]',
    'left out: no flag is defined',
  ],
  ['linux.mountLabel', false, 'linux.mountLabel', 'a string'],
  ['linux.resources.pids', { limit: 'max' }, 'linux.resources.pids.limit', 'an integer'],
  ['linux.resources.memory', { swappiness: 201 }, 'linux.resources.memory.swappiness', 'from 0 to 200'],
  ['linux.resources.memory', { disableOOMKiller: 1 }, 'linux.resources.memory.disableOOMKiller', 'true or false'],
  ['linux.resources.cpu', { idle: 2 }, 'linux.resources.cpu.idle', 'from 0 to 1'],
  ['linux.resources.cpu', { shares: -1 }, 'linux.resources.cpu.shares', 'from 0 to'],
  ['linux.resources.blockIO', { weight: 65536 }, 'linux.resources.blockIO.weight', 'from 0 to 65535'],
  [
    'linux.resources.blockIO',
    { throttleReadBpsDevice: [{ major: 8, minor: 0 }] },
    'linux.resources.blockIO.throttleReadBpsDevice[0].rate',
    'is missing',
  ],
  ['linux.resources.hugepageLimits', [{ limit: 1 }], 'linux.resources.hugepageLimits[0].pageSize', 'is missing'],
  ['linux.resources.network', { classID: TOO_LARGE }, 'linux.resources.network.classID', 'from 0 to 4294967295'],
  [
    'linux.resources.network',
    { priorities: [{ name: 'eth0' }] },
    'linux.resources.network.priorities[0].priority',
    'is missing',
  ],
  [
    'linux.resources.rdma',
    { mlx5_1: { hcaHandles: TOO_LARGE } },
    'linux.resources.rdma["mlx5_1"].hcaHandles',
    'from 0',
  ],
  ['linux.resources.unified', { 'memory.max': 1 }, 'linux.resources.unified["memory.max"]', 'a string'],
  ['linux.resources.devices', [{ access: 'r' }], 'linux.resources.devices[0].allow', 'is missing'],
  ['linux.seccomp', {}, 'linux.seccomp.defaultAction', 'is missing'],
  ['linux.seccomp', { defaultAction: 'ALLOW' }, 'linux.seccomp.defaultAction', 'one of SCMP_ACT_KILL'],
  ['linux.seccomp.defaultErrnoRet', -1, 'linux.seccomp.defaultErrnoRet', 'from 0 to'],
  ['freebsd', { jail: { host: 'disable' } }, 'freebsd.jail.host', 'one of new, inherit'],
  ['vm', {}, 'vm.kernel', 'is missing'],
  ['zos', { namespaces: [{ type: 'network' }] }, 'zos.namespaces[0].type', 'one of mount, pid, uts, ipc'],
])('%s = %j is told as %s: %s', (path, value, at, why) => {
  const { faults } = checkConfig(withField(path, value));
  expect(faults.map((fault) => fault.path)).toContain(at);
  expect(faults.find((fault) => fault.path === at)?.message).toContain(why);
});

describe('a seccomp profile', () => {
  const allow = (syscall: Json, more: Json = {}) => ({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['read'], action: 'SCMP_ACT_ERRNO', ...syscall }],
    ...more,
  });
  const argument = { index: 0, value: 1, op: 'SCMP_CMP_EQ' };

  it.each<[profile: Json, at: string, why: string]>([
    [allow({ action: 'SCMP_ACT_DENY' }), 'syscalls[0].action', 'one of SCMP_ACT_KILL'],
    [allow({ names: 'read' }), 'syscalls[0].names', 'a list'],
    [allow({ args: [{ ...argument, op: 'EQ' }] }), 'syscalls[0].args[0].op', 'one of SCMP_CMP_EQ'],
    [allow({ args: [{ ...argument, index: 6 }] }), 'syscalls[0].args[0].index', 'from 0 to 5'],
    [allow({ args: [{ ...argument, value: -1 }] }), 'syscalls[0].args[0].value', 'from 0 to'],
    [allow({}, { architectures: ['x86_64'] }), 'architectures[0]', 'as SCMP_ARCH_X86_64'],
    [allow({}, { flags: ['LOG'] }), 'flags[0]', 'one of SECCOMP_FILTER_FLAG_TSYNC'],
  ])('%j is told as %s', (profile, at, why) => {
    const { faults } = checkConfig(withField('linux.seccomp', profile));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ path: `linux.seccomp.${at}`, message: expect.stringContaining(why) });
  });
});

describe('what is read', () => {
  it('is root where no user is named, as Go writes it', () => {
    const { user: _, ...process } = minimal().process;
    expect(checkConfig({ ...minimal(), process }).config.process?.user).toEqual({ uid: 0, gid: 0 });
    expect(checkConfig({ ...minimal(), process: { ...process, user: { uid: 5 } } }).config.process?.user).toEqual({
      uid: 5,
      gid: 0,
    });
  });

  it('is a destination relative to the root where it is not absolute', () => {
    const { config, faults } = checkConfig(withField('mounts', [{ destination: 'tmp/x' }]));
    expect(faults).toEqual([]);
    expect(config.mounts?.[0]?.destination).toBe('/tmp/x');
  });

  it('is a mode without the bits of the type', () => {
    const device = { path: '/dev/sda', type: 'b', major: 8, minor: 0, fileMode: 0o60660 };
    expect(checkConfig(withField('linux.devices', [device])).config.linux?.devices?.[0]?.fileMode).toBe(0o660);
  });

  it('has all the digits of a limit, and of an argument of a system call', () => {
    const config = parseConfig(
      JSON.stringify(minimal()).replace(
        '"user"',
        '"rlimits": [{"type": "RLIMIT_FSIZE", "soft": 9223372036854775807, "hard": 18446744073709551615}], "user"',
      ),
    );
    expect(config.process?.rlimits).toEqual([
      { type: 'RLIMIT_FSIZE', soft: 9223372036854775807n, hard: 18446744073709551615n },
    ]);
  });

  it('has Docker’s way to say that swappiness is not set', () => {
    const json = JSON.stringify(withField('linux.resources', { memory: { swappiness: 0 } }));
    const config = parseConfig(json.replace('"swappiness":0', '"swappiness":18446744073709551615'));
    expect(config.linux?.resources?.memory?.swappiness).toBe(2 ** 64);
  });

  it.each(['18446744073709551616', '-1', '1e400', '0.5'])('is no limit of %s', (number) => {
    const json = JSON.stringify(minimal()).replace(
      '"user"',
      `"rlimits": [{"type": "RLIMIT_FSIZE", "soft": 0, "hard": ${number}}], "user"`,
    );
    expect(() => parseConfig(json)).toThrow(/process\.rlimits\[0\]\.hard must be/);
  });
});
