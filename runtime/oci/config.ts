/**
 * config.json of an OCI bundle: what its fields may hold. Read with `parseConfig` (validate.ts). The schemas are in the
 * order of the specification, config.md and config-linux.md of https://github.com/opencontainers/runtime-spec; fields that
 * this version of Tare refuses (unsupported.ts) are read as far as is needed to say so.
 */
import {
  anything,
  array,
  flag,
  integer,
  object,
  optional,
  record,
  type Schema,
  type TypeOf,
  text,
  word,
} from './schema.js';

/** Largest uid that names a user: 2^32-1 means "unchanged" to the kernel (CVE-2024-40635: it, and what is above, must never become 0). */
export const MAX_ID = 2 ** 32 - 2;
const id = integer(0, MAX_ID);
const u32 = integer(0, 2 ** 32 - 1);
const u64 = integer(0, 2 ** 64);
const i64 = integer(-(2 ** 63), 2 ** 63);
const pathList = array(text);

export const NAMESPACE_TYPES = ['mount', 'pid', 'network', 'ipc', 'uts', 'user', 'cgroup', 'time'] as const;
export type NamespaceType = (typeof NAMESPACE_TYPES)[number];

const idMapping = object({ containerID: id, hostID: id, size: integer(1, 2 ** 32) });

const user = object({
  uid: id,
  gid: id,
  umask: optional(integer(0, 0o777)),
  additionalGids: optional(array(id)),
});

const rlimit = object({ type: text, soft: u64, hard: u64 });

const capabilities = object({
  bounding: optional(array(text)),
  effective: optional(array(text)),
  permitted: optional(array(text)),
  inheritable: optional(array(text)),
  ambient: optional(array(text)),
});

const processSchema = object({
  terminal: optional(flag),
  consoleSize: optional(object({ height: integer(0, 65535), width: integer(0, 65535) })),
  cwd: text,
  env: optional(array(text)),
  args: optional(array(text)),
  user,
  rlimits: optional(array(rlimit)),
  capabilities: optional(capabilities),
  noNewPrivileges: optional(flag),
  oomScoreAdj: optional(integer(-1000, 1000)),
  apparmorProfile: optional(text),
  selinuxLabel: optional(text),
  scheduler: optional(anything),
  ioPriority: optional(anything),
  execCPUAffinity: optional(anything),
});

const mount = object({
  destination: text,
  type: optional(text),
  source: optional(text),
  options: optional(array(text)),
  uidMappings: optional(array(idMapping)),
  gidMappings: optional(array(idMapping)),
});

const namespace = object({ type: word(NAMESPACE_TYPES), path: optional(text) });

const device = object({
  type: word(['c', 'u', 'b', 'p']),
  path: text,
  major: optional(integer(0, 2 ** 12 - 1)),
  minor: optional(integer(0, 2 ** 20 - 1)),
  fileMode: optional(integer(0, 0o7777)),
  uid: optional(id),
  gid: optional(id),
});

const deviceRule = object({
  allow: flag,
  type: optional(word(['a', 'c', 'b'])),
  major: optional(integer(-1, 2 ** 12 - 1)),
  minor: optional(integer(-1, 2 ** 20 - 1)),
  access: optional(text),
});

const resources = object({
  devices: optional(array(deviceRule)),
  memory: optional(
    object({
      limit: optional(i64),
      reservation: optional(i64),
      swap: optional(i64),
      kernel: optional(i64),
      kernelTCP: optional(i64),
      swappiness: optional(u64),
      disableOOMKiller: optional(flag),
      useHierarchy: optional(flag),
      checkBeforeUpdate: optional(flag),
    }),
  ),
  cpu: optional(
    object({
      shares: optional(u64),
      quota: optional(i64),
      burst: optional(u64),
      period: optional(u64),
      realtimeRuntime: optional(i64),
      realtimePeriod: optional(u64),
      cpus: optional(text),
      mems: optional(text),
      idle: optional(i64),
    }),
  ),
  pids: optional(object({ limit: optional(i64) })),
  blockIO: optional(anything),
  hugepageLimits: optional(array(anything)),
  network: optional(anything),
  rdma: optional(record(anything)),
  unified: optional(record(text)),
});

const seccompArg = object({
  index: integer(0, 5),
  value: u64 as Schema<number | bigint>,
  valueTwo: optional(u64 as Schema<number | bigint>),
  op: text,
});

const seccomp = object({
  defaultAction: text,
  defaultErrnoRet: optional(u32),
  architectures: optional(array(text)),
  flags: optional(array(text)),
  listenerPath: optional(text),
  listenerMetadata: optional(text),
  syscalls: optional(
    array(
      object({
        names: array(text),
        action: text,
        errnoRet: optional(u32),
        args: optional(array(seccompArg)),
      }),
    ),
  ),
});

/** Those of config-linux.md, and with an r those that other runtimes take as well. Empty means that nothing is asked for. */
const PROPAGATIONS = [
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

const linux = object({
  namespaces: optional(array(namespace)),
  uidMappings: optional(array(idMapping)),
  gidMappings: optional(array(idMapping)),
  timeOffsets: optional(anything),
  devices: optional(array(device)),
  cgroupsPath: optional(text),
  resources: optional(resources),
  intelRdt: optional(anything),
  memoryPolicy: optional(anything),
  netDevices: optional(record(anything)),
  sysctl: optional(record(text)),
  seccomp: optional(seccomp),
  rootfsPropagation: optional(word(PROPAGATIONS)),
  maskedPaths: optional(pathList),
  readonlyPaths: optional(pathList),
  mountLabel: optional(text),
  personality: optional(anything),
});

const hookList = optional(array(anything));

export const configSchema = object({
  ociVersion: text,
  root: optional(object({ path: text, readonly: optional(flag) })),
  mounts: optional(array(mount)),
  process: optional(processSchema),
  hostname: optional(text),
  domainname: optional(text),
  hooks: optional(
    object({
      prestart: hookList,
      createRuntime: hookList,
      createContainer: hookList,
      startContainer: hookList,
      poststart: hookList,
      poststop: hookList,
    }),
  ),
  annotations: optional(record(text)),
  linux: optional(linux),
  solaris: optional(anything),
  windows: optional(anything),
  vm: optional(anything),
  zos: optional(anything),
  freebsd: optional(anything),
});

export type Config = TypeOf<typeof configSchema>;
export type Process = TypeOf<typeof processSchema>;
export type User = TypeOf<typeof user>;
export type Mount = TypeOf<typeof mount>;
export type Capabilities = TypeOf<typeof capabilities>;
export type Linux = TypeOf<typeof linux>;
export type Namespace = TypeOf<typeof namespace>;
export type IdMapping = TypeOf<typeof idMapping>;
export type Device = TypeOf<typeof device>;
export type DeviceRule = TypeOf<typeof deviceRule>;
export type Resources = TypeOf<typeof resources>;
export type Seccomp = TypeOf<typeof seccomp>;
export type Rlimit = TypeOf<typeof rlimit>;
