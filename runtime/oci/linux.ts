/**
 * `linux` of config.json: namespaces, devices, cgroups and what else only Linux has. config-linux.md. Rules that need more
 * than one field are in rules/.
 */
import { i64, id, idMappings, u32 } from './fields.js';
import { resourcesSchema } from './resources.js';
import { array, closed, flag, integer, mapped, object, optional, record, type TypeOf, text, word } from './schema.js';
import { seccompSchema } from './seccomp.js';

export const NAMESPACE_TYPES = ['mount', 'pid', 'network', 'ipc', 'uts', 'user', 'cgroup', 'time'] as const;
export type NamespaceType = (typeof NAMESPACE_TYPES)[number];

const namespace = object({ type: word(NAMESPACE_TYPES), path: optional(text) });

/** Added to the clock of the host. `nanosecs` is below a second; a whole that is negative has negative `secs`. */
const timeOffset = object({ secs: optional(i64), nanosecs: optional(integer(0, 999_999_999)) });
/** By the name of the clock. */
const timeOffsets = closed({ monotonic: optional(timeOffset), boottime: optional(timeOffset) });

/** `fileMode` may come with the bits of the type too, as stat(2) has them: engines send it so. */
const device = object({
  type: word(['c', 'u', 'b', 'p']),
  path: text,
  major: optional(integer(0, 2 ** 12 - 1)),
  minor: optional(integer(0, 2 ** 20 - 1)),
  fileMode: optional(mapped(u32, (mode) => mode & 0o7777)),
  uid: optional(id),
  gid: optional(id),
});

/** A network device of the host that moves into the container; `name` is what it is called there. */
const netDevice = object({ name: optional(text) });

const intelRdt = object({
  closID: optional(text),
  schemata: optional(array(text)),
  l3CacheSchema: optional(text),
  memBwSchema: optional(text),
  enableMonitoring: optional(flag),
});

export const MEMORY_POLICY_MODES = [
  'MPOL_DEFAULT',
  'MPOL_BIND',
  'MPOL_INTERLEAVE',
  'MPOL_WEIGHTED_INTERLEAVE',
  'MPOL_PREFERRED',
  'MPOL_PREFERRED_MANY',
  'MPOL_LOCAL',
] as const;
export type MemoryPolicyMode = (typeof MEMORY_POLICY_MODES)[number];
export const MEMORY_POLICY_FLAGS = ['MPOL_F_NUMA_BALANCING', 'MPOL_F_RELATIVE_NODES', 'MPOL_F_STATIC_NODES'] as const;
export type MemoryPolicyFlag = (typeof MEMORY_POLICY_FLAGS)[number];

/** set_mempolicy(2). `nodes` is a list as `0-3,7`. */
const memoryPolicy = object({
  mode: word(MEMORY_POLICY_MODES),
  nodes: optional(text),
  flags: optional(array(word(MEMORY_POLICY_FLAGS))),
});

const PERSONALITY_DOMAINS = ['LINUX', 'LINUX32'] as const;
/** The specification names no flags, so no flag is a valid one. personality(2). */
const personality = object({
  domain: word(PERSONALITY_DOMAINS),
  flags: optional(array(word([], 'left out: no flag is defined'))),
});

/** Those of config-linux.md, and with an r those that other runtimes take as well. Empty means that nothing is asked for. */
export const PROPAGATIONS = [
  'shared',
  'slave',
  'private',
  'unbindable',
  'rshared',
  'rslave',
  'rprivate',
  'runbindable',
  '',
] as const;

export const linuxSchema = object({
  namespaces: optional(array(namespace)),
  uidMappings: optional(idMappings),
  gidMappings: optional(idMappings),
  timeOffsets: optional(timeOffsets),
  devices: optional(array(device)),
  /** By the name of the device in the runtime's network namespace. */
  netDevices: optional(record(netDevice)),
  cgroupsPath: optional(text),
  resources: optional(resourcesSchema),
  intelRdt: optional(intelRdt),
  memoryPolicy: optional(memoryPolicy),
  sysctl: optional(record(text)),
  seccomp: optional(seccompSchema),
  rootfsPropagation: optional(word(PROPAGATIONS)),
  maskedPaths: optional(array(text)),
  readonlyPaths: optional(array(text)),
  mountLabel: optional(text),
  personality: optional(personality),
});

export type Linux = TypeOf<typeof linuxSchema>;
export type Namespace = TypeOf<typeof namespace>;
export type TimeOffset = TypeOf<typeof timeOffset>;
export type TimeOffsets = TypeOf<typeof timeOffsets>;
export type Device = TypeOf<typeof device>;
export type NetDevice = TypeOf<typeof netDevice>;
export type IntelRdt = TypeOf<typeof intelRdt>;
export type MemoryPolicy = TypeOf<typeof memoryPolicy>;
export type Personality = TypeOf<typeof personality>;
