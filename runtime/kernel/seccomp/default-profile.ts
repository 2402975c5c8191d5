/**
 * The profile that a container gets when nothing else is asked for: an allow list, dependent on the capabilities that the
 * container has, refusing the rest with EPERM. It refuses what Docker's documented default refuses
 * (https://docs.docker.com/engine/security/seccomp/); the lists are in `default-calls.ts`, the rules on arguments here.
 *
 * Arguments that the kernel takes as 32 bit integers are compared under a mask of 32 bits: the upper half of the register is
 * the caller's to fill, and a comparison of all 64 bits is passed by as many wrong values (CVE-2019-10063).
 */
import { release } from 'node:os';
import { type CompiledFilter, compileSeccomp } from './compile.js';
import { ALLOWED, BY_CAPABILITY } from './default-calls.js';
import type { SeccompProfile, SyscallArg, SyscallRule } from './profile.js';

export interface DefaultProfileOptions {
  /** The container's bounding set: `CAP_SYS_ADMIN` ... */
  readonly capabilities: readonly string[];
  /** As uname(2) has it, `6.1.0-13-amd64`; that of this machine unless told. */
  readonly kernelRelease?: string;
}

const ALLOW = 'SCMP_ACT_ALLOW';
const ERRNO = 'SCMP_ACT_ERRNO';
const EIO = 5;
const ENOTTY = 25;
const ENOSYS = 38;
const LOW_32 = 0xffff_ffff;

/** The profile as `linux.seccomp` has it, for the machine's own architectures. */
export function defaultProfile({ capabilities, kernelRelease = release() }: DefaultProfileOptions): SeccompProfile {
  const has = (name: string) => capabilities.includes(name);
  const names = [
    ...ALLOWED.map((group) => group.names),
    ...BY_CAPABILITY.filter(({ capability }) => has(capability)).map((group) => group.names),
    // Before Linux 4.8 a tracer could change a system call after the filter had let it pass (seccomp(2)).
    ...(isAtLeast(kernelRelease, 4, 8) ? ['ptrace'] : []),
  ].flatMap((text) => text.split(/\s+/));
  return {
    defaultAction: ERRNO,
    defaultErrnoRet: 1,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_AARCH64'],
    syscalls: [
      { names: [...new Set(names)], action: ALLOW },
      ...(has('CAP_SYS_ADMIN') ? [] : withoutNamespaces),
      ...personalities,
      ...socketFamilies,
      ...terminals,
    ],
  };
}

const filters = new Map<string, CompiledFilter>();

/** The default profile, compiled; the same set of capabilities is compiled once in a process. */
export function defaultFilter(options: DefaultProfileOptions): CompiledFilter {
  const key = [options.kernelRelease ?? '', ...[...options.capabilities].sort()].join(' ');
  const filter = filters.get(key) ?? compileSeccomp(defaultProfile(options));
  filters.set(key, filter);
  return filter;
}

/**
 * CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: none of them. clone3 has its flags in memory, where no filter
 * sees them: it does not exist, and C libraries go back to clone.
 */
const withoutNamespaces: readonly SyscallRule[] = [
  { names: ['clone'], action: ALLOW, args: [{ index: 0, op: 'SCMP_CMP_MASKED_EQ', value: 0x7e020000, valueTwo: 0 }] },
  { names: ['clone3'], action: ERRNO, errnoRet: ENOSYS },
];

/** PER_LINUX and PER_LINUX32, each with UNAME26 or without, and the question which it is now. No BSD, no READ_IMPLIES_EXEC. */
const personalities: readonly SyscallRule[] = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff].map((value) => ({
  names: ['personality'],
  action: ALLOW,
  args: [{ index: 0, op: 'SCMP_CMP_EQ', value }],
}));

/**
 * All families below 64 but AF_VSOCK (40), which reaches the hypervisor past every network namespace, and AF_ALG (38), the
 * kernel's cryptography, which no container needs. A 32-bit program gets around it by i386's socketcall, whose arguments lie in
 * memory where no filter can look, and which old programs still need. Each pair is a run of families: its mask, and what is left under it.
 */
const socketFamilies: readonly SyscallRule[] = [
  [0xffffffe0, 0], // 0 to 31
  [0xfffffffc, 32], // 32 to 35
  [0xfffffffe, 36], // 36 and 37
  [0xffffffff, 39],
  [0xffffffff, 41],
  [0xfffffffe, 42], // 42 and 43
  [0xfffffffc, 44], // 44 to 47
  [0xfffffff0, 48], // 48 to 63
].map(([value = 0, valueTwo]) => ({
  names: ['socket'],
  action: ALLOW,
  args: [{ index: 0, op: 'SCMP_CMP_MASKED_EQ', value, valueTwo }],
}));

/**
 * ioctl, but not TIOCSTI, which types into the terminal for whoever reads next (CVE-2017-5226), and not TIOCLINUX, which
 * pastes into a console (CVE-2023-28100). Each fails with the errno it has where the kernel has no such thing. A rule without
 * arguments would win over these two, so the last one has a condition that always holds.
 */
const terminals: readonly SyscallRule[] = [
  { names: ['ioctl'], action: ERRNO, errnoRet: EIO, args: [low32(1, 0x5412)] },
  { names: ['ioctl'], action: ERRNO, errnoRet: ENOTTY, args: [low32(1, 0x541c)] },
  { names: ['ioctl'], action: ALLOW, args: [{ index: 1, op: 'SCMP_CMP_MASKED_EQ', value: 0, valueTwo: 0 }] },
];

function low32(index: number, value: number): SyscallArg {
  return { index, op: 'SCMP_CMP_MASKED_EQ', value: LOW_32, valueTwo: value };
}

function isAtLeast(kernelRelease: string, major: number, minor: number): boolean {
  const [, a, b] = /^(\d+)\.(\d+)/.exec(kernelRelease) ?? [];
  return Number(a) > major || (Number(a) === major && Number(b) >= minor);
}
