/**
 * Names for the numbers in a plan, so that a step is shown as strace shows it: which input of which kind is a mask of
 * flags, one constant of a list, a mode, a device. The values are those of <linux/...> and <asm-generic/...> on x86_64.
 */
import { CAPABILITIES } from '../kernel/capabilities.js';
import type { StepInputs, StepKind } from './steps.gen.js';

/** A number as text: `O_PATH|O_CLOEXEC`, `PR_SET_DUMPABLE`, `0755`, `0x40`. */
export type Show = (value: bigint) => string;

/** How an input of a kind is shown; plain decimal where this has nothing. */
export function showFor(kind: StepKind, input: string): Show | undefined {
  return (SHOW as Readonly<Record<string, Readonly<Record<string, Show>>>>)[kind]?.[input];
}

/** Single bits, and fields of several bits listed before the bits that they contain. */
function mask(names: Readonly<Record<string, number>>, zero = '0'): Show {
  const entries = Object.entries(names).map(([name, value]) => [name, BigInt(value)] as const);
  return (value) => {
    if (value === 0n) return zero;
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

function oneOf(names: Readonly<Record<string, number>>, otherwise: Show = String): Show {
  const byValue = new Map(Object.entries(names).map(([name, value]) => [BigInt(value), name]));
  return (value) => byValue.get(value) ?? otherwise(value);
}

const hex: Show = (value) => `0x${value.toString(16)}`;
const octal: Show = (value) => (value === 0n ? '0' : `0${value.toString(8)}`);

/** Nobody sets a uid of 2^32-1: to chown(2) and setresuid(2) it says "leave it". */
const id: Show = (value) => (value === 0xffff_ffffn ? '-1' : String(value));
const lastFd: Show = (value) => (value === 0xffff_ffffn ? '~0' : String(value));
const rlimit: Show = (value) => (value === 0xffff_ffff_ffff_ffffn ? 'RLIM_INFINITY' : String(value));

const ACCESS = new Map([0n, 1n, 2n].map((value, i) => [value, ['O_RDONLY', 'O_WRONLY', 'O_RDWR'][i]]));
const O_REST = mask({
  O_TMPFILE: 0x410000,
  O_SYNC: 0x101000,
  O_CREAT: 0x40,
  O_EXCL: 0x80,
  O_NOCTTY: 0x100,
  O_TRUNC: 0x200,
  O_APPEND: 0x400,
  O_NONBLOCK: 0x800,
  O_DSYNC: 0x1000,
  O_DIRECT: 0x4000,
  O_DIRECTORY: 0x10000,
  O_NOFOLLOW: 0x20000,
  O_NOATIME: 0x40000,
  O_CLOEXEC: 0x80000,
  O_PATH: 0x200000,
});
/** open(2): the access mode is a number, the rest bits. With O_PATH there is no access mode. */
const openFlags: Show = (value) => {
  const rest = value & ~3n;
  if (value & 0x200000n && (value & 3n) === 0n) return O_REST(rest);
  return [ACCESS.get(value & 3n) ?? '3', ...(rest ? [O_REST(rest)] : [])].join('|');
};

const AT = {
  AT_SYMLINK_NOFOLLOW: 0x100,
  AT_REMOVEDIR: 0x200,
  AT_SYMLINK_FOLLOW: 0x400,
  AT_NO_AUTOMOUNT: 0x800,
  AT_EMPTY_PATH: 0x1000,
  AT_RECURSIVE: 0x8000,
};

const MOUNT_ATTR = mask({
  MOUNT_ATTR_RDONLY: 1,
  MOUNT_ATTR_NOSUID: 2,
  MOUNT_ATTR_NODEV: 4,
  MOUNT_ATTR_NOEXEC: 8,
  MOUNT_ATTR__ATIME: 0x70,
  MOUNT_ATTR_NOATIME: 0x10,
  MOUNT_ATTR_STRICTATIME: 0x20,
  MOUNT_ATTR_NODIRATIME: 0x80,
  MOUNT_ATTR_IDMAP: 0x100000,
  MOUNT_ATTR_NOSYMFOLLOW: 0x200000,
});

const MS = {
  MS_RDONLY: 1,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MS_NOEXEC: 8,
  MS_SYNCHRONOUS: 16,
  MS_REMOUNT: 32,
  MS_MANDLOCK: 64,
  MS_DIRSYNC: 128,
  MS_NOSYMFOLLOW: 256,
  MS_NOATIME: 1024,
  MS_NODIRATIME: 2048,
  MS_BIND: 4096,
  MS_MOVE: 8192,
  MS_REC: 16384,
  MS_SILENT: 32768,
  MS_UNBINDABLE: 1 << 17,
  MS_PRIVATE: 1 << 18,
  MS_SLAVE: 1 << 19,
  MS_SHARED: 1 << 20,
  MS_RELATIME: 1 << 21,
  MS_STRICTATIME: 1 << 24,
  MS_LAZYTIME: 1 << 25,
};

const CLONE = mask({
  CLONE_NEWTIME: 0x80,
  CLONE_PARENT: 0x8000,
  CLONE_NEWNS: 0x20000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
});

const PR = oneOf({
  PR_SET_PDEATHSIG: 1,
  PR_SET_DUMPABLE: 4,
  PR_SET_KEEPCAPS: 8,
  PR_SET_NAME: 15,
  PR_CAPBSET_DROP: 24,
  PR_SET_SECUREBITS: 28,
  PR_SET_TIMERSLACK: 29,
  PR_SET_CHILD_SUBREAPER: 36,
  PR_SET_NO_NEW_PRIVS: 38,
  PR_SET_THP_DISABLE: 41,
  PR_CAP_AMBIENT: 47,
  PR_SET_IO_FLUSHER: 57,
});

const RESOURCES =
  'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'.split(' ');
const RLIMIT = oneOf(Object.fromEntries(RESOURCES.map((name, i) => [`RLIMIT_${name}`, i])));

const ALL_CAPABILITIES = (1n << BigInt(CAPABILITIES.length)) - 1n;
const CAPS = mask(Object.fromEntries(CAPABILITIES.map((name, i) => [name, 2 ** i])));
const capabilities: Show = (value) => (value === ALL_CAPABILITIES ? 'ALL' : CAPS(value));

/** <linux/magic.h> */
const MAGIC = oneOf(
  {
    PROC_SUPER_MAGIC: 0x9fa0,
    SYSFS_MAGIC: 0x62656572,
    TMPFS_MAGIC: 0x01021994,
    CGROUP_SUPER_MAGIC: 0x27e0eb,
    CGROUP2_SUPER_MAGIC: 0x63677270,
    DEVPTS_SUPER_MAGIC: 0x1cd1,
    MQUEUE_MAGIC: 0x19800202,
    NSFS_MAGIC: 0x6e736673,
    OVERLAYFS_SUPER_MAGIC: 0x794c7630,
  },
  hex,
);

/** makedev(3) as the kernel has it: 12 bits of major, 20 of minor. */
const device: Show = (value) => {
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & ~0xfffn);
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n);
  return `makedev(${major}, ${minor})`;
};

/** The file type and the permissions, of mknod(2). */
const fileMode: Show = (value) => {
  const type = new Map([
    [0o020000n, 'S_IFCHR|'],
    [0o060000n, 'S_IFBLK|'],
    [0o010000n, 'S_IFIFO|'],
    [0o100000n, 'S_IFREG|'],
  ]).get(value & 0o170000n);
  return type ? type + octal(value & 0o7777n) : octal(value);
};

const PROPAGATION = mask({ MS_UNBINDABLE: 1 << 17, MS_PRIVATE: 1 << 18, MS_SLAVE: 1 << 19, MS_SHARED: 1 << 20 });
const SETATTR_FLAGS = mask(AT);

const SHOW: { readonly [K in StepKind]?: { readonly [I in keyof StepInputs[K]]?: Show } } = {
  openat2: {
    flags: openFlags,
    mode: octal,
    resolve: mask({
      RESOLVE_NO_XDEV: 1,
      RESOLVE_NO_MAGICLINKS: 2,
      RESOLVE_NO_SYMLINKS: 4,
      RESOLVE_BENEATH: 8,
      RESOLVE_IN_ROOT: 16,
      RESOLVE_CACHED: 32,
    }),
  },
  open_proc: { flags: openFlags },
  mkdirat: { mode: octal },
  mkdir_in_root: { mode: octal },
  create_in_root: { mode: octal },
  mknodat: { mode: fileMode, device },
  fchmodat: { mode: octal },
  fchownat: { uid: id, gid: id, flags: mask(AT) },
  unlinkat: { flags: mask(AT) },
  close_range: { last: lastFd, flags: mask({ CLOSE_RANGE_UNSHARE: 2, CLOSE_RANGE_CLOEXEC: 4 }) },
  umask: { mask: octal },
  open_tree: { flags: mask({ ...AT, OPEN_TREE_CLONE: 1, OPEN_TREE_CLOEXEC: 0x80000 }) },
  fsopen: { flags: mask({ FSOPEN_CLOEXEC: 1 }) },
  fsconfig: {
    command: oneOf({
      FSCONFIG_SET_FLAG: 0,
      FSCONFIG_SET_STRING: 1,
      FSCONFIG_SET_BINARY: 2,
      FSCONFIG_SET_PATH: 3,
      FSCONFIG_SET_PATH_EMPTY: 4,
      FSCONFIG_SET_FD: 5,
      FSCONFIG_CMD_CREATE: 6,
      FSCONFIG_CMD_RECONFIGURE: 7,
      FSCONFIG_CMD_CREATE_EXCL: 8,
    }),
  },
  fsmount: { flags: mask({ FSMOUNT_CLOEXEC: 1 }), attributes: MOUNT_ATTR },
  move_mount: {
    flags: mask({
      MOVE_MOUNT_F_SYMLINKS: 1,
      MOVE_MOUNT_F_AUTOMOUNTS: 2,
      MOVE_MOUNT_F_EMPTY_PATH: 4,
      MOVE_MOUNT_T_SYMLINKS: 0x10,
      MOVE_MOUNT_T_AUTOMOUNTS: 0x20,
      MOVE_MOUNT_T_EMPTY_PATH: 0x40,
      MOVE_MOUNT_SET_GROUP: 0x100,
      MOVE_MOUNT_BENEATH: 0x200,
    }),
  },
  mount_setattr: { flags: SETATTR_FLAGS, set: MOUNT_ATTR, clear: MOUNT_ATTR, propagation: PROPAGATION },
  mount: { flags: mask(MS) },
  umount2: { flags: mask({ MNT_FORCE: 1, MNT_DETACH: 2, MNT_EXPIRE: 4, UMOUNT_NOFOLLOW: 8 }) },
  expect_fs: { magic: MAGIC },
  clone: { flags: CLONE },
  unshare: { flags: CLONE },
  setns: { flags: CLONE },
  netlink: { protocol: oneOf({ NETLINK_ROUTE: 0, NETLINK_NETFILTER: 12 }) },
  pty_peer: { flags: openFlags },
  setresgid: { real: id, effective: id, saved: id },
  setresuid: { real: id, effective: id, saved: id },
  cap_bound: { keep: capabilities },
  capset: { effective: capabilities, permitted: capabilities, inheritable: capabilities },
  cap_ambient: { raise: capabilities },
  prctl: { option: PR },
  prlimit: { resource: RLIMIT, soft: rlimit, hard: rlimit },
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
