/**
 * Configurations that a container may have, drawn at random, and a second, independent answer to what the kernel must say about
 * a process of each: by config.md and the kernel's manual pages, without the compiler.
 */
import fc from 'fast-check';
import { thisCaller } from '../../runtime/container/caller.js';
import { capabilityNames } from '../../runtime/kernel/capabilities.js';
import type { FeatureName } from '../../runtime/kernel/features.js';
import { RLIMITS } from '../../runtime/kernel/rlimits.js';
import type { Capabilities, Config, NamespaceType } from '../../runtime/oci/index.js';

const CAPABILITIES = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETPCAP', 'CAP_NET_RAW', 'CAP_SYS_ADMIN', 'CAP_SYS_TIME'] as const;
const SET_NAMES = ['bounding', 'permitted', 'effective', 'inheritable', 'ambient'] as const;

/** What is drawn; `configOf` makes a config.json of it. */
export interface Drawn {
  readonly namespaces: readonly NamespaceType[];
  readonly sets: Record<(typeof SET_NAMES)[number], (typeof CAPABILITIES)[number][]>;
  readonly limits: readonly { readonly type: (typeof RLIMITS)[number]; readonly soft: number; readonly more: number }[];
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly additionalGids: number[];
    readonly umask?: number;
  };
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number;
  readonly nice?: number;
  readonly realTime?: number;
  readonly longPersonality: boolean;
  readonly filter: boolean;
  readonly readonlyRoot: boolean;
  readonly propagation?: 'private' | 'shared' | 'unbindable';
  readonly mounts: readonly { readonly name: string; readonly bind: boolean; readonly options: readonly string[] }[];
  readonly masked: readonly string[];
  readonly readonly: readonly string[];
  readonly sysctls: readonly string[];
  readonly name: string;
  readonly memory?: number;
  readonly pids?: number;
  readonly cpus?: number;
  readonly cwd: string;
  /** What the kernel is said not to have: the fallbacks must do the same. */
  readonly without: readonly FeatureName[];
}

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const someOf = <T>(...items: readonly T[]) => fc.subarray([...items]);

const mountOption = fc.constantFrom(
  'ro',
  'rw',
  'nosuid',
  'suid',
  'nodev',
  'dev',
  'noexec',
  'exec',
  'noatime',
  'relatime',
  'strictatime',
  'nodiratime',
);

/** Sysctls, the namespace that confines each, and a value that is not the default. */
export const SYSCTLS: Readonly<Record<string, { readonly of: NamespaceType; readonly value: string }>> = {
  'net.ipv4.ip_forward': { of: 'network', value: '1' },
  'net.ipv4.ip_default_ttl': { of: 'network', value: '77' },
  'kernel.msgmax': { of: 'ipc', value: '4321' },
  'kernel.shm_rmid_forced': { of: 'ipc', value: '1' },
  'fs.mqueue.msg_max': { of: 'ipc', value: '20' },
};

/** Folders of the root file system: what may be masked or protected, with what masks it. */
export const PLACES = { '/etc': 'tmpfs', '/var': 'tmpfs', '/etc/passwd': 'file', '/not/there': 'nothing' } as const;

export const drawn: fc.Arbitrary<Drawn> = fc
  .record({
    namespaces: someOf<NamespaceType>('pid', 'network', 'ipc', 'uts', 'cgroup', 'time', 'user'),
    sets: fc.record({
      bounding: someOf(...CAPABILITIES),
      permitted: someOf(...CAPABILITIES),
      effective: someOf(...CAPABILITIES),
      inheritable: someOf(...CAPABILITIES),
      ambient: someOf(...CAPABILITIES),
    }),
    limits: fc.uniqueArray(
      fc.record({
        // Enough of each for the program to run, and no more than anybody may ask for.
        type: fc.constantFrom(...RLIMITS.filter((type) => !['RLIMIT_NICE', 'RLIMIT_RTPRIO'].includes(type))),
        soft: fc.integer({ min: 64 << 20, max: 2 ** 40 }),
        more: fc.integer({ min: 0, max: 2 ** 40 }),
      }),
      { selector: ({ type }) => type, maxLength: 5 },
    ),
    user: fc.record({
      uid: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 999 })),
      gid: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 999 })),
      additionalGids: fc.uniqueArray(fc.integer({ min: 0, max: 999 }), { maxLength: 5 }),
      umask: optional(fc.integer({ min: 0, max: 0o777 })),
    }),
    noNewPrivileges: fc.boolean(),
    oomScoreAdj: optional(fc.integer({ min: 0, max: 1000 })),
    nice: optional(fc.integer({ min: 0, max: 19 })),
    realTime: optional(fc.integer({ min: 1, max: 99 })),
    longPersonality: fc.boolean(),
    filter: fc.boolean(),
    readonlyRoot: fc.boolean(),
    propagation: optional(fc.constantFrom('private' as const, 'shared' as const, 'unbindable' as const)),
    mounts: fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('a', 'b', 'c', 'd/e'),
        bind: fc.boolean(),
        options: fc.array(mountOption, { maxLength: 5 }),
      }),
      { selector: ({ name }) => name, maxLength: 4 },
    ),
    masked: someOf(...Object.keys(PLACES)),
    readonly: someOf('/var', '/usr', '/not/there'),
    sysctls: someOf(...Object.keys(SYSCTLS)),
    name: fc.stringMatching(/^[a-z][a-z0-9]{0,12}$/),
    memory: optional(fc.integer({ min: 8 << 8, max: 1 << 20 }).map((pages) => pages * 4096)),
    pids: optional(fc.integer({ min: 10, max: 30_000 })),
    cpus: optional(fc.integer({ min: 5, max: 200 }).map((hundredths) => hundredths / 100)),
    cwd: fc.constantFrom('/', '/tmp', '/usr/bin'),
    without: someOf<FeatureName>('mountSetattr', 'cloneIntoCgroup'),
  })
  .map(sensible);

/** What a user namespace needs, and may not: it has no say over namespaces, or over a scheduler, that are not its own. */
function sensible(one: Drawn): Drawn {
  const mapped = one.namespaces.includes('user');
  const namespaces = mapped
    ? [...new Set([...one.namespaces, 'pid' as const, 'network' as const, 'ipc' as const])]
    : one.namespaces;
  const nameable = SYSCTL_NAMES.filter((name) => one.sysctls.includes(name));
  const realTime = mapped ? undefined : one.realTime;
  const changesTimes = one.mounts.some(({ bind, options }) => bind && options.some((option) => /atime/.test(option)));
  return {
    ...one,
    namespaces,
    sysctls: nameable.filter((name) => namespaces.includes(SYSCTLS[name]?.of as NamespaceType)),
    realTime,
    // mount(2) refuses in a user namespace what mount_setattr(2) does before it: another atime of a mount from outside.
    without: one.without.filter((name) => !(name === 'mountSetattr' && mapped && changesTimes)),
    // On cgroups of version 1 real time is a limit of its own; who may not mount has no cpu cgroup where nothing is limited.
    ...(realTime !== undefined && {
      cpus: undefined,
      filter: true,
      sets: { ...one.sets, bounding: one.sets.bounding.filter((name) => name !== 'CAP_SYS_ADMIN') },
    }),
  };
}
const SYSCTL_NAMES = Object.keys(SYSCTLS);

/** The first host id of a user namespace. */
const FIRST_ID = 200_000;

/** @param rootfs has /mnt/NAME for each mount, and owners that a user namespace maps */
export function configOf(one: Drawn, base: Config, shared: string): Config {
  const { uid, gid, additionalGids, umask } = one.user;
  const mapped = one.namespaces.includes('user');
  const ids = [{ containerID: 0, hostID: FIRST_ID, size: 1000 }];
  const has = (type: NamespaceType) => one.namespaces.includes(type);
  const fifo = one.realTime !== undefined;
  const config: Config = {
    ...base,
    root: { path: base.root?.path ?? '', readonly: one.readonlyRoot },
    ...(has('uts') && { hostname: one.name }),
    process: {
      cwd: one.cwd,
      env: ['PATH=/bin'],
      args: ['sh', '-c', script(one)],
      user: { uid, gid, additionalGids, ...(umask !== undefined && { umask }) },
      capabilities: one.sets,
      noNewPrivileges: one.noNewPrivileges,
      rlimits: one.limits.map(({ type, soft, more }) => ({ type, soft, hard: soft + more })),
      ...(one.oomScoreAdj !== undefined && { oomScoreAdj: one.oomScoreAdj }),
      ...(fifo && { scheduler: { policy: 'SCHED_FIFO', priority: one.realTime } }),
      ...(!fifo && one.nice !== undefined && { scheduler: { policy: 'SCHED_BATCH', nice: one.nice } }),
    },
    mounts: [
      // A queue belongs to an ipc namespace, and sysfs to a network namespace.
      ...(base.mounts ?? []).filter(({ type }) => type !== 'cgroup'),
      ...one.mounts.map(({ name, bind, options }) => ({
        destination: `/mnt/${name}`,
        ...(bind ? { type: 'bind', source: shared } : { type: 'tmpfs', source: 'tmpfs' }),
        options: [...(bind ? ['bind'] : []), ...options],
      })),
    ],
    linux: {
      namespaces: [{ type: 'mount' }, ...one.namespaces.map((type) => ({ type }))],
      ...(mapped && { uidMappings: ids, gidMappings: ids }),
      resources: {
        ...(one.memory !== undefined && { memory: { limit: one.memory } }),
        ...(one.pids !== undefined && { pids: { limit: one.pids } }),
        ...(one.cpus !== undefined && { cpu: { quota: Math.round(one.cpus * 100_000), period: 100_000 } }),
      },
      maskedPaths: one.masked,
      readonlyPaths: one.readonly.filter((path) => !one.masked.includes(path)),
      sysctl: Object.fromEntries(one.sysctls.map((name) => [name, SYSCTLS[name]?.value ?? ''])),
      ...(one.propagation && { rootfsPropagation: one.propagation }),
      ...(one.longPersonality && { personality: { domain: 'LINUX32' } }),
      ...(one.filter && {
        seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mkdir'], action: 'SCMP_ACT_ERRNO' }] },
      }),
    },
  };
  return config;
}

/** Says what only the inside can know, then waits to be looked at. */
function script({ sysctls }: Drawn): string {
  const files = sysctls.map((name) => `/proc/sys/${name.replaceAll('.', '/')}`);
  return `hostname; ${files.length > 0 ? `cat ${files.join(' ')};` : ''} echo said; exec sleep 1000`;
}

/** The sets after two execve(2), of the shell and of its last program. capabilities(7), "Transformation of capabilities during execve()". */
export function capabilitiesOf({ sets, user, noNewPrivileges, namespaces }: Drawn): Required<Capabilities> {
  const mine = namespaces.includes('user') ? [...CAPABILITIES] : capabilityNames(thisCaller().capabilities);
  const both = (a: readonly string[], b: readonly string[]) => a.filter((name) => b.includes(name));
  const bounding = both(sets.bounding, mine);
  const permitted = both(sets.permitted, mine);
  const inheritable = both(sets.inheritable, bounding);
  const ambient = both(sets.ambient, both(permitted, inheritable));
  // Root has what it may inherit and what is in the bounding set, as if every file had all capabilities; with no_new_privs no more
  // than before. Anybody else has what is ambient.
  const ofRoot = CAPABILITIES.filter((name) => bounding.includes(name) || inheritable.includes(name));
  const after = user.uid !== 0 ? ambient : noNewPrivileges ? both(ofRoot, permitted) : ofRoot;
  return { bounding, permitted: after, effective: after, inheritable, ambient };
}

/** MOUNTINFO's options of a mount with these options: the last word on each thing counts. mount(8). */
export function mountOptions(options: readonly string[], defaults: readonly string[] = []): string[] {
  const is = (yes: string, no: string) => {
    const last = options.findLast((option) => option === yes || option === no);
    return last === undefined ? defaults.includes(yes) : last === yes;
  };
  const atime = options.findLast((option) => ['noatime', 'relatime', 'strictatime'].includes(option)) ?? 'relatime';
  return [
    is('ro', 'rw') ? 'ro' : 'rw',
    ...(['nosuid', 'nodev', 'noexec'] as const).filter((no) => is(no, no.slice(2))),
    ...(atime === 'strictatime' ? [] : [atime]),
    ...(options.includes('nodiratime') ? ['nodiratime'] : []),
  ];
}

/** What the kernel grants of a limit to this caller. */
export function grantedLimit({ type, soft, more }: Drawn['limits'][number]): {
  soft: number | null;
  hard: number | null;
} {
  const most = thisCaller().hardLimit(RLIMITS.indexOf(type));
  const hard = Math.min(soft + more, most === undefined ? Number.POSITIVE_INFINITY : Number(most));
  return { soft: Math.min(soft, hard), hard };
}

/** Of a user namespace, on the host. */
export function hostId(id: number, { namespaces }: Drawn): number {
  return namespaces.includes('user') ? FIRST_ID + id : id;
}
