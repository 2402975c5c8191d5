/**
 * Names for the numbers in a plan, so that a step is shown as strace shows it: which input of which kind is a mask of
 * flags, one constant of a list, a mode, a device. The constants themselves are those of runtime/kernel.
 */
import { ALL_CAPABILITIES, capabilityNames } from '../kernel/capabilities.js';
import * as clone from '../kernel/constants/clone.js';
import * as closeRange from '../kernel/constants/close-range.js';
import * as magic from '../kernel/constants/magic.js';
import * as mount from '../kernel/constants/mount.js';
import * as open from '../kernel/constants/open.js';
import * as prctl from '../kernel/constants/prctl.js';
import {
  IOPRIO_CLASS_SHIFT,
  IOPRIO_CLASSES,
  MPOL_FLAGS,
  MPOL_MODES,
  PER_LINUX,
  PER_LINUX32,
  SCHED_FLAGS,
  SCHED_POLICIES,
} from '../kernel/constants/scheduling.js';
import { NETLINK_ROUTE } from '../kernel/netlink.js';
import { RLIM_INFINITY, RLIMITS } from '../kernel/rlimits.js';
import type { StepInputs, StepKind } from './steps.gen.js';

/** A number as text: `O_PATH|O_CLOEXEC`, `PR_SET_DUMPABLE`, `0755`, `0x40`. */
export type Show = (value: bigint) => string;

/** How an input of a kind is shown; plain decimal where this has nothing. */
export function showFor(kind: StepKind, input: string): Show | undefined {
  return (SHOW as Readonly<Record<string, Readonly<Record<string, Show>>>>)[kind]?.[input];
}

type Names = Readonly<Record<string, number>>;

/** Those constants of a module whose names begin so. */
function named(constants: Names, ...prefixes: string[]): Names {
  return Object.fromEntries(
    Object.entries(constants).filter(([name]) => prefixes.some((prefix) => name.startsWith(prefix))),
  );
}

/** A mask: names of several bits before those of the bits that they contain; what has no name in hexadecimal. */
function mask(names: Names): Show {
  const entries = Object.entries(names)
    .map(([name, value]) => [name, BigInt(value)] as const)
    .filter(([, bits]) => bits > 0n)
    .sort(([, a], [, b]) => bitCount(b) - bitCount(a) || Number(a - b));
  return (value) => {
    if (value === 0n) return '0';
    const found: string[] = [];
    let rest = value;
    for (const [name, bits] of entries) {
      if ((rest & bits) !== bits) continue;
      found.push(name);
      rest &= ~bits;
    }
    if (rest !== 0n) found.push(hex(rest));
    return found.join('|');
  };
}

function oneOf(names: Names, otherwise: Show = String): Show {
  const byValue = new Map(Object.entries(names).map(([name, value]) => [BigInt(value), name]));
  return (value) => byValue.get(value) ?? otherwise(value);
}

function bitCount(bits: bigint): number {
  return bits.toString(2).replaceAll('0', '').length;
}

const hex: Show = (value) => `0x${value.toString(16)}`;
const octal: Show = (value) => (value === 0n ? '0' : `0${value.toString(8)}`);
/** To chown(2) and setresuid(2), 2^32-1 is no id and says "leave it". */
const id: Show = (value) => (value === 0xffff_ffffn ? '-1' : String(value));
const lastFd: Show = (value) => (value === BigInt(closeRange.ALL_DESCRIPTORS) ? '~0' : String(value));
const rlimit: Show = (value) => (value === RLIM_INFINITY ? 'RLIM_INFINITY' : String(value));

const openRest = mask(named(open, 'O_'));
/** open(2): the access mode is a number, the rest bits. With O_PATH there is no access mode. */
const openFlags: Show = (value) => {
  const rest = value & ~3n;
  if (rest & BigInt(open.O_PATH)) return openRest(value);
  const access = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', '3'][Number(value & 3n)] as string;
  return rest === 0n ? access : `${access}|${openRest(rest)}`;
};

const at = mask(named(open, 'AT_'));
const mountAttributes = mask(named(mount, 'MOUNT_ATTR_'));
const mountFlags = mask(named(mount, 'MS_'));
const namespaces = mask(named(clone, 'CLONE_NEW', 'CLONE_PARENT'));

/** Without the second arguments of PR_CAP_AMBIENT, which are numbered from 1 as well. */
const { PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_LOWER, PR_CAP_AMBIENT_CLEAR_ALL, ...prctlOptions } = prctl;

const capabilities: Show = (value) => {
  if (value === 0n) return '0';
  return value === ALL_CAPABILITIES ? 'ALL' : capabilityNames(value).join('|');
};

/** A device number as the kernel packs it for user space: makedev(3), 12 bits of major within 20 of minor. */
const device: Show = (value) => {
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & ~0xfffn);
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n);
  return `makedev(${major}, ${minor})`;
};

/** The file type and the permissions, of mknod(2). */
const fileMode: Show = (value) => {
  const type = { '2': 'S_IFCHR', '6': 'S_IFBLK', '1': 'S_IFIFO', '8': 'S_IFREG' }[String(value >> 12n)];
  return type ? `${type}|${octal(value & 0o7777n)}` : octal(value);
};

const ioClass = oneOf(IOPRIO_CLASSES);
const ioPriority: Show = (value) => {
  const shift = BigInt(IOPRIO_CLASS_SHIFT);
  return `IOPRIO_PRIO_VALUE(${ioClass(value >> shift)}, ${value & ((1n << shift) - 1n)})`;
};

const memoryMode = oneOf(MPOL_MODES);
const memoryFlags = mask(MPOL_FLAGS);
const memoryPolicy: Show = (value) => {
  const flags = Object.values(MPOL_FLAGS).reduce((bits, flag) => bits | (value & BigInt(flag)), 0n);
  return flags === 0n ? memoryMode(value) : `${memoryMode(value & ~flags)}|${memoryFlags(flags)}`;
};

const SHOW: { readonly [K in StepKind]?: { readonly [I in keyof StepInputs[K]]?: Show } } = {
  openat2: { flags: openFlags, mode: octal, resolve: mask(named(open, 'RESOLVE_')) },
  open_proc: { flags: openFlags },
  mkdirat: { mode: octal },
  mkdir_in_root: { mode: octal },
  create_in_root: { mode: octal },
  mknodat: { mode: fileMode, device },
  fchmodat: { mode: octal },
  fchownat: { uid: id, gid: id, flags: at },
  unlinkat: { flags: at },
  close_range: { last: lastFd, flags: mask(named(closeRange, 'CLOSE_RANGE_')) },
  umask: { mask: octal },
  open_tree: { flags: mask({ ...named(open, 'AT_'), ...named(mount, 'OPEN_TREE_') }) },
  fsopen: { flags: mask(named(mount, 'FSOPEN_')) },
  fsconfig: { command: oneOf(named(mount, 'FSCONFIG_')) },
  fsmount: { flags: mask(named(mount, 'FSMOUNT_')), attributes: mountAttributes },
  move_mount: { flags: mask(named(mount, 'MOVE_MOUNT_')) },
  mount_setattr: { flags: at, set: mountAttributes, clear: mountAttributes, propagation: mountFlags },
  mount: { flags: mountFlags },
  umount2: { flags: mask(named(mount, 'MNT_', 'UMOUNT_')) },
  expect_fs: { magic: oneOf(magic, hex) },
  clone: { flags: namespaces },
  unshare: { flags: namespaces },
  setns: { flags: namespaces },
  netlink: { protocol: oneOf({ NETLINK_ROUTE, NETLINK_NETFILTER: 12 }) },
  pty_peer: { flags: openFlags },
  setresgid: { real: id, effective: id, saved: id },
  setresuid: { real: id, effective: id, saved: id },
  cap_bound: { keep: capabilities },
  capset: { effective: capabilities, permitted: capabilities, inheritable: capabilities },
  cap_ambient: { raise: capabilities },
  prctl: { option: oneOf(prctlOptions) },
  sched_setattr: { policy: oneOf(SCHED_POLICIES), flags: mask(SCHED_FLAGS) },
  ioprio_set: { priority: ioPriority },
  set_mempolicy: { mode: memoryPolicy },
  personality: { domain: oneOf({ PER_LINUX, PER_LINUX32 }, hex) },
  prlimit: { resource: oneOf(Object.fromEntries(RLIMITS.map((name, i) => [name, i]))), soft: rlimit, hard: rlimit },
  seccomp: {
    flags: mask({
      SECCOMP_FILTER_FLAG_TSYNC: 1,
      SECCOMP_FILTER_FLAG_LOG: 2,
      SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
      SECCOMP_FILTER_FLAG_NEW_LISTENER: 8,
      SECCOMP_FILTER_FLAG_TSYNC_ESRCH: 16,
      SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
    }),
  },
};
