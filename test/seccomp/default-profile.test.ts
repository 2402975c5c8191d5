import { describe, expect, test } from 'vitest';
import { CAPABILITIES, DEFAULT_CAPABILITIES } from '../../runtime/kernel/capabilities.js';
import {
  AUDIT_ARCH,
  compileSeccomp,
  defaultFilter,
  defaultProfile,
  interpret,
  RET,
  syscallTable,
} from '../../runtime/kernel/seccomp/index.js';

const DOCKER: readonly string[] = DEFAULT_CAPABILITIES;
const EPERM = RET.ERRNO + 1;

function answer(
  name: string,
  args: bigint[] = [],
  options: { capabilities?: readonly string[]; kernelRelease?: string } = {},
) {
  const profile = defaultProfile({ capabilities: DOCKER, kernelRelease: '6.1.0', ...options });
  const { program } = compileSeccomp(profile, { native: 'x86_64' });
  const nr = syscallTable('x86_64').get(name) ?? syscallTable('x86').get(name);
  const arch = syscallTable('x86_64').has(name) ? AUDIT_ARCH.x86_64 : AUDIT_ARCH.x86;
  if (nr === undefined) throw new Error(`no call ${name}`);
  return interpret(program, { nr, arch, args });
}

describe('what Docker documents as refused is refused', () => {
  test.each(
    `acct add_key bpf clock_adjtime clock_settime create_module delete_module finit_module get_kernel_syms get_mempolicy init_module
     ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind mount move_pages nfsservctl open_by_handle_at
     perf_event_open pivot_root process_vm_readv process_vm_writev query_module quotactl reboot request_key set_mempolicy setns
     settimeofday stime swapon swapoff sysfs _sysctl umount umount2 unshare uselib userfaultfd ustat vm86 vm86old`
      .split(/\s+/)
      .filter(Boolean),
  )('%s', (name) => {
    expect(answer(name)).toBe(EPERM);
  });

  test.each([
    'io_uring_setup',
    'io_uring_enter',
    'io_uring_register',
    'vhangup',
    'syslog',
    'fsopen',
    'open_tree',
    'sethostname',
  ])('%s', (name) => {
    expect(answer(name)).toBe(EPERM);
  });

  test('ptrace only on kernels where a tracer can go round the filter', () => {
    expect(answer('ptrace', [], { kernelRelease: '4.7.9' })).toBe(EPERM);
    expect(answer('ptrace', [], { kernelRelease: '4.8.0' })).toBe(RET.ALLOW);
    expect(answer('ptrace', [], { kernelRelease: '10.0' })).toBe(RET.ALLOW);
  });

  test.each([
    'read',
    'openat',
    'execve',
    'mmap',
    'chroot',
    'prctl',
    'seccomp',
    'arch_prctl',
    'socketpair',
    'mknod',
    'futex_waitv',
  ])('%s is allowed', (name) => {
    expect(answer(name)).toBe(RET.ALLOW);
  });
});

describe('arguments', () => {
  test('clone: threads and processes yes, each kind of namespace no; clone3 does not exist', () => {
    expect(answer('clone', [0x3d0f00n])).toBe(RET.ALLOW); // what pthread_create asks for
    expect(answer('clone', [17n])).toBe(RET.ALLOW); // SIGCHLD: fork
    for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n]) {
      expect(answer('clone', [flag | 17n])).toBe(EPERM);
    }
    expect(answer('clone3')).toBe(RET.ERRNO + 38);
  });

  test('personality: Linux and the question, nothing else', () => {
    for (const value of [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn])
      expect(answer('personality', [value])).toBe(RET.ALLOW);
    for (const value of [1n, 6n, 0x400000n, 0x40000n]) expect(answer('personality', [value])).toBe(EPERM);
  });

  test('socket: every family but AF_VSOCK and AF_ALG, whatever is in the half that the kernel does not read', () => {
    for (let family = 0n; family < 64n; family++) {
      const wanted = family === 40n || family === 38n ? EPERM : RET.ALLOW;
      expect([family, answer('socket', [family])]).toEqual([family, wanted]);
    }
    expect(answer('socket', [0x1_0000_0028n])).toBe(EPERM);
    expect(answer('socket', [0xffff_ffff_0000_0002n])).toBe(RET.ALLOW);
  });

  test('ioctl: not TIOCSTI, whatever is in the half that the kernel does not read (CVE-2019-10063)', () => {
    expect(answer('ioctl', [0n, 0x5401n])).toBe(RET.ALLOW);
    expect(answer('ioctl', [0n, 0x5412n])).toBe(RET.ERRNO + 5);
    expect(answer('ioctl', [0n, 0x1_0000_5412n])).toBe(RET.ERRNO + 5);
    expect(answer('ioctl', [0n, 0xffff_ffff_8000_5412n])).toBe(RET.ALLOW);
    expect(answer('ioctl', [0n, 0x1_0000_541cn])).toBe(RET.ERRNO + 25);
  });
});

describe('capabilities open what they are for', () => {
  test.each([
    ['CAP_SYS_ADMIN', 'mount setns unshare clone clone3 bpf perf_event_open fsopen umount2 sethostname'],
    ['CAP_BPF', 'bpf'],
    ['CAP_DAC_READ_SEARCH', 'open_by_handle_at'],
    ['CAP_PERFMON', 'perf_event_open'],
    ['CAP_SYS_BOOT', 'reboot'],
    ['CAP_SYS_MODULE', 'init_module finit_module delete_module'],
    ['CAP_SYS_NICE', 'mbind set_mempolicy get_mempolicy'],
    ['CAP_SYS_PACCT', 'acct'],
    ['CAP_SYS_PTRACE', 'kcmp process_vm_readv pidfd_getfd'],
    ['CAP_SYS_RAWIO', 'iopl ioperm'],
    ['CAP_SYS_TIME', 'clock_settime settimeofday clock_adjtime'],
    ['CAP_SYS_TTY_CONFIG', 'vhangup'],
    ['CAP_SYSLOG', 'syslog'],
  ])('%s: %s', (capability, names) => {
    for (const name of names.split(' ')) {
      expect([name, answer(name, [0x7e020000n])]).not.toEqual([name, RET.ALLOW]);
      expect([name, answer(name, [0x7e020000n], { capabilities: [...DOCKER, capability] })]).toEqual([name, RET.ALLOW]);
    }
  });

  test('chroot goes with CAP_SYS_CHROOT', () => {
    expect(answer('chroot', [], { capabilities: [] })).toBe(EPERM);
  });

  test('no capability opens the kernel’s keyrings, kexec, swap or io_uring', () => {
    for (const name of ['keyctl', 'add_key', 'request_key', 'kexec_load', 'swapon', 'io_uring_setup', 'userfaultfd']) {
      expect([name, answer(name, [], { capabilities: CAPABILITIES })]).toEqual([name, EPERM]);
    }
  });
});

test('the names are names: all but those of architectures without a table here are known', () => {
  const { unknown } = compileSeccomp(defaultProfile({ capabilities: CAPABILITIES }), { native: 'x86_64' });
  // Old names of sockets calls that only arm has.
  expect(unknown.filter((name) => !['recv', 'send'].includes(name))).toEqual([]);
});

test('the filter is compiled once for a set of capabilities', () => {
  expect(defaultFilter({ capabilities: DOCKER })).toBe(defaultFilter({ capabilities: [...DOCKER].reverse() }));
  expect(defaultFilter({ capabilities: DOCKER }).instructions).toBeLessThan(1000);
});
