/**
 * What this kernel can do. The plan compiler gets it as a value and chooses with it; nothing else asks the kernel on the way. Each
 * feature is a row of the table below: since when, how it is found out, and what is done without it. The same bundle
 * compiled with a poorer value (`withoutFeatures`) is the test of a fallback.
 */
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { native } from './addon.js';
import { type CgroupHost, detectCgroups, realCgroupFiles } from './cgroup/index.js';
import { inFirstUserNamespace } from './user-namespace.js';

export type FeatureName = keyof typeof FEATURES;

export type Features = Readonly<Record<FeatureName, boolean>> & {
  /** `uname -r`, for people. */
  readonly kernel: string;
  /** 0 without Landlock; see landlock(7) for what each version adds. */
  readonly landlockAbi: number;
  readonly cgroups: CgroupHost;
};

export interface FeatureRow {
  /** The first kernel that has it; where a distribution may have brought it to an older one, the probe finds that. */
  readonly since: readonly [major: number, minor: number];
  readonly probe: (kernel: KernelAnswers) => boolean;
  /** What Tare does without it; `required` when it cannot do without. */
  readonly fallback: string;
}

/** Asks the kernel; about 0.2 ms. The answers stay true until the next boot, but for `userNamespaces` and `cgroups`. */
export function probeFeatures(kernel: KernelAnswers = thisKernel()): Features {
  const found = {} as Record<FeatureName, boolean>;
  for (const [name, row] of Object.entries<FeatureRow>(FEATURES)) found[name as FeatureName] = row.probe(kernel);
  return { ...found, kernel: kernel.release, landlockAbi: kernel.landlockAbi(), cgroups: kernel.cgroups };
}

/** A poorer kernel, for tests of the fallbacks. */
export function withoutFeatures(features: Features, ...names: readonly FeatureName[]): Features {
  return { ...features, ...Object.fromEntries(names.map((name) => [name, false])) };
}

/** The features without which Tare cannot make a container; a sentence for each that is missing. */
export function missingRequired(features: Features): string[] {
  return Object.entries<FeatureRow>(FEATURES)
    .filter(([name, row]) => row.fallback === 'required' && !features[name as FeatureName])
    .map(
      ([name, row]) => `this kernel (${features.kernel}) has no ${name}, which Linux ${row.since.join('.')} brought`,
    );
}

/** What the probes ask. A test answers in the kernel's place. */
export interface KernelAnswers {
  readonly release: string;
  readonly cgroups: CgroupHost;
  readonly isRoot: boolean;
  /** In the first user namespace, where capabilities are those over the machine. */
  readonly ownsMachine: boolean;
  hasSyscall(number: number): boolean;
  seccompActionAvailable(action: number): boolean;
  landlockAbi(): number;
  exists(path: string): boolean;
  /** What a small file of /proc or /sys holds; undefined when there is none. */
  read(path: string): string | undefined;
  /** A number in a file of /proc/sys; undefined when there is none. */
  sysctl(path: string): number | undefined;
}

const call =
  (...numbers: number[]) =>
  (kernel: KernelAnswers) =>
    numbers.every((number) => kernel.hasSyscall(number));
const action = (value: number) => (kernel: KernelAnswers) => kernel.seccompActionAvailable(value);
const version = (major: number, minor: number) => (kernel: KernelAnswers) => atLeast(kernel.release, major, minor);
const file = (path: string) => (kernel: KernelAnswers) => kernel.exists(path);

// System call numbers from 424 on are the same on every architecture: <asm-generic/unistd.h>.
const SYS = {
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  pidfd_open: 434,
  clone3: 435,
  close_range: 436,
  openat2: 437,
  mount_setattr: 442,
} as const;

export const FEATURES = {
  memfdSeal: { since: [3, 17], probe: version(3, 17), fallback: 'required' },
  openat2: { since: [5, 6], probe: call(SYS.openat2), fallback: 'required' },
  clone3: { since: [5, 3], probe: call(SYS.clone3), fallback: 'required' },
  pidfd: { since: [5, 3], probe: call(SYS.pidfd_open), fallback: 'required' },
  setnsByPidfd: {
    since: [5, 8],
    probe: version(5, 8),
    fallback: 'exec joins each namespace of the container by its file in /proc/PID/ns',
  },
  // The call is of 5.9, its CLOSE_RANGE_CLOEXEC of 5.11.
  closeRange: {
    since: [5, 11],
    probe: (kernel) => call(SYS.close_range)(kernel) && atLeast(kernel.release, 5, 11),
    fallback: 'required',
  },
  openTree: { since: [5, 2], probe: call(SYS.open_tree), fallback: 'required' },
  newMountApi: {
    since: [5, 2],
    probe: call(SYS.fsopen, SYS.fsconfig, SYS.fsmount, SYS.move_mount),
    fallback: 'required',
  },
  seccompErrno: { since: [4, 14], probe: action(0x00050000), fallback: 'required' },
  mountSetattr: {
    since: [5, 12],
    probe: call(SYS.mount_setattr),
    fallback: 'mount(2) of /proc/self/fd/N; idmapped mounts, and recursive options with mounts below, are refused',
  },
  userNamespaces: { since: [3, 8], probe: userNamespaces, fallback: 'refused to who is not root' },
  timeNamespaces: {
    since: [5, 6],
    probe: file('/proc/self/ns/time'),
    fallback: 'refused where config.json asks for one',
  },
  cloneIntoCgroup: {
    since: [5, 7],
    probe: (kernel) => atLeast(kernel.release, 5, 7) && kernel.cgroups.hierarchies.some(({ version }) => version === 2),
    fallback: 'the process writes itself into cgroup.procs (6 to 17 ms)',
  },
  // The killer of cgroups looks for the file itself, and the maker of memory files tries the flag: neither is a plan.
  cgroupKill: {
    since: [5, 14],
    probe: (kernel) =>
      atLeast(kernel.release, 5, 14) && kernel.cgroups.hierarchies.some(({ version }) => version === 2),
    fallback: 'the cgroup is frozen, and its processes are killed one by one',
  },
  memfdExec: { since: [6, 3], probe: version(6, 3), fallback: 'memory files are executable without asking' },
  linkIndex: {
    since: [5, 13],
    probe: version(5, 13),
    fallback: 'a network device that moves keeps its index, and cannot go where that one is taken',
  },
  deviceProgram: {
    since: [4, 15],
    probe: (kernel) => atLeast(kernel.release, 4, 15) && kernel.isRoot && kernel.ownsMachine,
    fallback: 'device rules hold on cgroups of version 1 alone, and the caller is told',
  },
  overlayLayers: {
    since: [6, 8],
    probe: version(6, 8),
    fallback: 'the layers of an image are one string for mount(2), of at most 4095 bytes',
  },
  idmappedLayers: {
    since: [5, 19],
    probe: (kernel) => call(SYS.mount_setattr)(kernel) && atLeast(kernel.release, 5, 19),
    fallback: 'refused where a container of an image has a user namespace of its own',
  },
  appArmor: {
    since: [2, 6],
    probe: (kernel) =>
      kernel.read('/sys/module/apparmor/parameters/enabled')?.trim() === 'Y' || hasModule(kernel, 'apparmor'),
    fallback: 'refused where config.json names a profile',
  },
  seLinux: {
    since: [2, 6],
    // Without a policy everything is of the kernel's own label.
    probe: (kernel) =>
      kernel.exists('/sys/fs/selinux/enforce') && !/^kernel\b/.test(kernel.read('/proc/self/attr/current') ?? 'kernel'),
    fallback: 'refused where config.json names a label',
  },
  procKcore: {
    since: [2, 6],
    probe: file('/proc/kcore'),
    fallback: 'no /dev/core, which would lead nowhere',
  },
  resctrl: {
    since: [4, 10],
    probe: file('/sys/fs/resctrl/schemata'),
    fallback: 'refused where config.json asks for a share of the cache',
  },
} as const satisfies Readonly<Record<string, FeatureRow>>;

/** The security modules in use, in their order: securityfs, LSM(7) of the kernel's documentation. */
function hasModule(kernel: KernelAnswers, name: string): boolean {
  return kernel.read('/sys/kernel/security/lsm')?.trim().split(',').includes(name) ?? false;
}

/** Several switches can forbid them to who is not root: Debian's, Ubuntu's (AppArmor), and a limit of zero that binds root too. */
function userNamespaces(kernel: KernelAnswers): boolean {
  if (!kernel.exists('/proc/self/ns/user')) return false;
  if (kernel.sysctl('/proc/sys/user/max_user_namespaces') === 0) return false;
  if (kernel.isRoot) return true;
  if (kernel.sysctl('/proc/sys/kernel/unprivileged_userns_clone') === 0) return false;
  return kernel.sysctl('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') !== 1;
}

/** `6.1.0-18-amd64` is at least 5.12. */
export function atLeast(text: string, major: number, minor: number): boolean {
  const [first = 0, second = 0] = text.split('.').map((part) => Number.parseInt(part, 10));
  return first > major || (first === major && second >= minor);
}

function thisKernel(): KernelAnswers {
  return {
    release: release(),
    cgroups: detectCgroups(),
    isRoot: process.geteuid?.() === 0,
    ownsMachine: inFirstUserNamespace(),
    hasSyscall: (number) => native.hasSyscall(number),
    seccompActionAvailable: (value) => native.seccompActionAvailable(value),
    landlockAbi: () => native.landlockAbi(),
    exists: existsSync,
    read: (path) => realCgroupFiles.read(path),
    sysctl: (path) => {
      const text = realCgroupFiles.read(path);
      return text === undefined ? undefined : Number(text);
    },
  };
}
