/**
 * The config.json of a container that has none: what `tare run --rootfs` makes. Everything a container usually has, and the
 * limits that Docker's documentation lists: its 14 capabilities, masked and read-only paths, no_new_privs, the default
 * seccomp profile. A user who is not root gets the same in a user namespace, where they are root.
 */
import { DEFAULT_CAPABILITIES } from '../kernel/capabilities.js';
import { type Config, type Mount, type NamespaceType, OCI_VERSION } from '../oci/index.js';
import { standardProfile } from './filter.js';

/** What is special about a container that has no config.json. */
export interface DefaultOptions {
  /** Absolute path of the root file system. */
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly hostname?: string;
  readonly terminal?: boolean;
  readonly size?: { readonly columns: number; readonly rows: number };
  /** `NAME=value`; wins over the defaults. */
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly readonlyRoot?: boolean;
  readonly mounts?: readonly Mount[];
  readonly limits?: {
    /** Bytes. */
    readonly memory?: number;
    readonly pids?: number;
    /** Processors; 0.5 is half of one. */
    readonly cpus?: number;
  };
  /** Who makes the container: 0 for root. Anybody else gets a user namespace. `oneUser`: root of one that has nobody else. */
  readonly caller: { readonly uid: number; readonly gid: number; readonly oneUser?: boolean };
}

/** Where programs are looked for when nobody says it, as an entry of an environment. execvp(3) */
export const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The config.json of such a container; nothing is asked of the machine, and nothing is checked yet. */
export function defaultConfig(options: DefaultOptions): Config {
  const rootless = options.caller.uid !== 0;
  const user = options.user ?? { uid: 0, gid: 0 };
  return {
    ociVersion: OCI_VERSION,
    root: { path: options.rootfs, readonly: options.readonlyRoot ?? false },
    ...(options.hostname !== undefined && { hostname: options.hostname }),
    process: {
      terminal: options.terminal ?? false,
      ...(options.size && { consoleSize: { width: options.size.columns, height: options.size.rows } }),
      cwd: options.cwd ?? '/',
      args: options.args,
      env: environment(options, user.uid),
      user,
      capabilities: {
        bounding: DEFAULT_CAPABILITIES,
        permitted: user.uid === 0 ? DEFAULT_CAPABILITIES : [],
        effective: user.uid === 0 ? DEFAULT_CAPABILITIES : [],
        inheritable: [],
        ambient: [],
      },
      noNewPrivileges: true,
    },
    mounts: [...defaultMounts(rootless || options.caller.oneUser === true), ...(options.mounts ?? [])],
    linux: {
      namespaces: namespaces(rootless).map((type) => ({ type })),
      ...(rootless && {
        uidMappings: [{ containerID: 0, hostID: options.caller.uid, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: options.caller.gid, size: 1 }],
      }),
      resources: resources(options),
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
      seccomp: standardProfile(),
    },
  };
}

function namespaces(rootless: boolean): NamespaceType[] {
  const all: NamespaceType[] = ['mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'];
  return rootless ? ['user', ...all] : all;
}

function environment({ env = [], terminal }: DefaultOptions, uid: number): string[] {
  // Other users have the home that the root file system says (home.ts).
  const defaults = [PATH, ...(uid === 0 ? ['HOME=/root'] : []), ...(terminal ? ['TERM=xterm'] : [])];
  const named = new Set(env.map((entry) => entry.slice(0, entry.indexOf('='))));
  return [...defaults.filter((entry) => !named.has(entry.slice(0, entry.indexOf('=')))), ...env];
}

/** What a container usually has mounted. @param rootless in a user namespace of a single user */
export function defaultMounts(rootless: boolean): Mount[] {
  const safe = ['nosuid', 'noexec', 'nodev'];
  // Group 5 (tty) is not mapped into the user namespace of a single user.
  const tty = rootless ? [] : ['gid=5'];
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: safe },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...tty],
    },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...safe, 'mode=1777', 'size=65536k'] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: safe },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...safe, 'ro'] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...safe, 'relatime', 'ro'] },
  ];
}

function resources({ limits = {}, caller }: DefaultOptions): NonNullable<Config['linux']>['resources'] {
  const period = 100_000;
  return {
    // In a user namespace nobody can make a device, so there is nothing to forbid.
    ...(caller.uid === 0 && { devices: [{ allow: false, access: 'rwm' }] }),
    ...(limits.memory !== undefined && { memory: { limit: limits.memory } }),
    ...(limits.pids !== undefined && { pids: { limit: limits.pids } }),
    ...(limits.cpus !== undefined && { cpu: { quota: Math.round(limits.cpus * period), period } }),
  };
}

/** Files of /proc and /sys that tell of the host, or reach its hardware, and that no namespace confines. */
export const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

/** Where the host's kernel would be changed. */
export const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
