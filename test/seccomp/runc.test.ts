/**
 * Where rules of a profile meet, runc with libseccomp is what people's profiles were written for. Here a program in a
 * container of runc makes calls, and the answers are compared with what Tare's filter gives: two compilers, one meaning.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import {
  AUDIT_ARCH,
  compileSeccomp,
  interpret,
  nativeArchitecture,
  RET,
  type SyscallRule,
  syscallTable,
} from '../../runtime/kernel/seccomp/index.js';

/** What runc's init, the loader of a static program and the program itself need. */
const NEEDED =
  `execve brk arch_prctl set_tid_address set_robust_list rseq prlimit64 readlink readlinkat getrandom mprotect newfstatat
  fstat write exit_group futex close openat read mmap munmap rt_sigreturn rt_sigaction rt_sigprocmask sched_getaffinity getppid
  nanosleep epoll_pwait sigaltstack fcntl gettid tgkill prctl clone epoll_ctl epoll_create1 lseek madvise pipe2 eventfd2 uname
  chdir getcwd fstatfs close_range getdents64`.split(/\s+/);

const eq = (index: number, value: number) => ({ index, value, op: 'SCMP_CMP_EQ' });
const allow = (name: string, ...args: SyscallRule['args'] & object): SyscallRule => ({
  names: [name],
  action: 'SCMP_ACT_ALLOW',
  args,
});
const errno = (errnoRet: number, name: string, ...args: SyscallRule['args'] & object): SyscallRule => ({
  names: [name],
  action: 'SCMP_ACT_ERRNO',
  errnoRet,
  args,
});

const PROFILE = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 99,
  architectures: ['SCMP_ARCH_X86_64'],
  syscalls: [
    { names: NEEDED, action: 'SCMP_ACT_ALLOW' },
    ...[errno(5, 'ioctl', eq(1, 7)), allow('ioctl')], // without arguments, after
    ...[allow('dup'), errno(6, 'dup', eq(0, 1000))], // without arguments, before
    errno(7, 'dup2', eq(0, 7), eq(1, 8)), // all conditions
    errno(8, 'fsync', eq(0, 7), eq(0, 8)), // several on one argument: alternatives
    ...[errno(99, 'fdatasync', eq(0, 7)), allow('fdatasync')], // the default action: dropped
    ...[errno(11, 'flock', eq(0, 5)), allow('flock', { index: 0, value: 100, op: 'SCMP_CMP_LT' })],
    errno(12, 'umask', { index: 0, value: 0xf0, valueTwo: 0x30, op: 'SCMP_CMP_MASKED_EQ' }),
    errno(17, 'msync', { index: 2, value: 0xf0, valueTwo: 0x3f, op: 'SCMP_CMP_MASKED_EQ' }), // bits that the mask has not
    errno(18, 'mincore', { index: 2, value: 0xf0, valueTwo: 0x1000000030, op: 'SCMP_CMP_MASKED_EQ' }),
    errno(13, 'getsid', { index: 0, value: 0x100000005, op: 'SCMP_CMP_GE' }),
    errno(14, 'getpgid', { index: 0, value: 0x100000005, op: 'SCMP_CMP_LE' }),
    errno(15, 'alarm', { index: 0, value: 5, op: 'SCMP_CMP_NE' }),
    errno(16, 'getpriority', { index: 0, value: 5, op: 'SCMP_CMP_GT' }),
    { names: ['frobnicate'], action: 'SCMP_ACT_KILL' },
  ],
};

const CALLS: readonly [string | number, ...bigint[]][] = [
  ...[7n, 8n].map((value): [string, ...bigint[]] => ['ioctl', 0xffffffffn, value]),
  ['dup', 1000n],
  ...[
    [7n, 8n],
    [7n, 9n],
    [9n, 8n],
  ].map((args): [string, ...bigint[]] => ['dup2', ...args]),
  ...[7n, 8n, 9n].map((value): [string, ...bigint[]] => ['fsync', value]),
  ['fdatasync', 7n],
  ...[5n, 6n, 100n].map((value): [string, ...bigint[]] => ['flock', value]),
  ...[0x3fn, 0x30n, 0x20n].map((value): [string, ...bigint[]] => ['umask', value]),
  ...[0x3fn, 0x30n, 0x20n, 0x1000000030n].flatMap((value): [string, ...bigint[]][] => [
    ['msync', 1n, 0n, value],
    ['mincore', 1n, 0n, value],
  ]),
  ...[5n, 0x100000004n, 0x100000005n, 0x200000000n].flatMap((value): [string, ...bigint[]][] => [
    ['getsid', value],
    ['getpgid', value],
  ]),
  ...[5n, 6n, 0x100000005n].flatMap((value): [string, ...bigint[]][] => [
    ['alarm', value],
    ['getpriority', value],
  ]),
  ['getpid'], // not named, and older than what is
  ['mseal'], // newer than all that is named
  [500],
  [0xffffffff],
];

test('each rule where rules meet', (ctx) => {
  if (process.getuid?.() !== 0) ctx.skip('needs root');
  if (nativeArchitecture() !== 'x86_64') ctx.skip('the probe speaks x86_64');
  if (spawnSync('runc', ['--version']).status !== 0) ctx.skip('needs runc');
  const bundle = mkdtempSync(join(tmpdir(), 'tare-seccomp-runc-'));
  const id = `tare-seccomp-${process.pid}`;
  try {
    mkdirSync(join(bundle, 'rootfs'));
    const source = fileURLToPath(new URL('probe.c', import.meta.url));
    const built = spawnSync('cc', ['-O1', '-static', '-o', join(bundle, 'rootfs', 'probe'), source], {
      encoding: 'utf8',
    });
    if (built.status !== 0) ctx.skip('needs a C compiler and a static C library');
    expect(spawnSync('runc', ['spec', '--bundle', bundle]).status).toBe(0);
    const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
    Object.assign(config.process, { args: ['/probe', 'call'], terminal: false });
    config.linux.seccomp = PROFILE;
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));

    const questions = CALLS.map(([name, ...args]) => {
      const all = Array.from({ length: 6 }, (_, i) => args[i] ?? 0n);
      return ['64', ...[number(name), ...all].map((word) => word.toString(16))].join(' ');
    });
    const { stdout, stderr, status } = spawnSync('runc', ['run', '--bundle', bundle, id], {
      input: `${questions.join('\n')}\n`,
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
    const runc = stdout.trimEnd().split('\n');
    const { program } = compileSeccomp(PROFILE);
    const tare = CALLS.map(([name, ...args]) => {
      const value = interpret(program, { nr: number(name), arch: AUDIT_ARCH.x86_64, args });
      return value === RET.ALLOW ? 'allow' : `errno ${value - RET.ERRNO}`;
    });
    // What is allowed returns, or fails by itself with none of the errnos in the profile.
    const refused = new Set([5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 38, 99].map((code) => `errno ${code}`));
    const asRunc = runc.map((answer) => (refused.has(answer) ? answer : 'allow'));
    expect(CALLS.map((call, i) => [call, tare[i]])).toEqual(CALLS.map((call, i) => [call, asRunc[i]]));
  } finally {
    spawnSync('runc', ['delete', '--force', id]);
    rmSync(bundle, { recursive: true, force: true });
  }
});

function number(name: string | number): number {
  return typeof name === 'number' ? name : (syscallTable('x86_64').get(name) as number);
}
