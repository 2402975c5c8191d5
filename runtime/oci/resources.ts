/**
 * `linux.resources` of config.json: what the container's cgroup allows. Also what `update --resources` reads.
 * config-linux.md#control-groups. Absent means unchanged; -1 means no limit, where a limit may be negative.
 */
import { i64, u16, u32, u64 } from './fields.js';
import { array, flag, integer, object, optional, record, type Schema, type TypeOf, text, word } from './schema.js';

/** -1, or nothing, stands for every number. */
const deviceRule = object({
  allow: flag,
  type: optional(word(['a', 'c', 'b'])),
  major: optional(integer(-1, 2 ** 12 - 1)),
  minor: optional(integer(-1, 2 ** 20 - 1)),
  access: optional(text),
});

/** Docker sends -1 for "not set", which Go's uint64 makes 2^64-1, and a double 2^64: so it is read. */
const swappiness: Schema<number> = {
  read: (value, path, faults) =>
    value === 2 ** 64 || value === 2n ** 64n - 1n ? 2 ** 64 : integer(0, 200).read(value, path, faults),
};

/** Bytes. */
const memory = object({
  limit: optional(i64),
  reservation: optional(i64),
  /** Memory and swap together. */
  swap: optional(i64),
  kernel: optional(i64),
  kernelTCP: optional(i64),
  swappiness: optional(swappiness),
  disableOOMKiller: optional(flag),
  useHierarchy: optional(flag),
  checkBeforeUpdate: optional(flag),
});

/** Times are microseconds. */
const cpu = object({
  shares: optional(u64),
  quota: optional(i64),
  burst: optional(u64),
  period: optional(u64),
  realtimeRuntime: optional(i64),
  realtimePeriod: optional(u64),
  cpus: optional(text),
  mems: optional(text),
  idle: optional(integer(0, 1)),
});

const blockDevice = { major: integer(0, 2 ** 12 - 1), minor: integer(0, 2 ** 20 - 1) };
const weightDevice = object({ ...blockDevice, weight: optional(u16), leafWeight: optional(u16) });
/** Bytes, or operations, per second; 0 takes the limit away. */
const throttleDevice = object({ ...blockDevice, rate: u64 });

const blockIO = object({
  weight: optional(u16),
  leafWeight: optional(u16),
  weightDevice: optional(array(weightDevice)),
  throttleReadBpsDevice: optional(array(throttleDevice)),
  throttleWriteBpsDevice: optional(array(throttleDevice)),
  throttleReadIOPSDevice: optional(array(throttleDevice)),
  throttleWriteIOPSDevice: optional(array(throttleDevice)),
});

/** `pageSize` is as in the names of the files: `64KB`, `2MB`, `1GB`. */
const hugepageLimit = object({ pageSize: text, limit: u64 });

const interfacePriority = object({ name: text, priority: u32 });
const network = object({ classID: optional(u32), priorities: optional(array(interfacePriority)) });

const rdma = object({ hcaHandles: optional(u32), hcaObjects: optional(u32) });

export const resourcesSchema = object({
  devices: optional(array(deviceRule)),
  memory: optional(memory),
  cpu: optional(cpu),
  pids: optional(object({ limit: optional(i64) })),
  blockIO: optional(blockIO),
  hugepageLimits: optional(array(hugepageLimit)),
  network: optional(network),
  /** By the name of the device. */
  rdma: optional(record(rdma)),
  /** By the name of the file in a cgroup of version 2. */
  unified: optional(record(text)),
});

export type Resources = TypeOf<typeof resourcesSchema>;
export type DeviceRule = TypeOf<typeof deviceRule>;
export type MemoryLimits = TypeOf<typeof memory>;
export type CpuLimits = TypeOf<typeof cpu>;
export type BlockIO = TypeOf<typeof blockIO>;
export type WeightDevice = TypeOf<typeof weightDevice>;
export type ThrottleDevice = TypeOf<typeof throttleDevice>;
export type HugepageLimit = TypeOf<typeof hugepageLimit>;
export type NetworkClass = TypeOf<typeof network>;
export type RdmaLimit = TypeOf<typeof rdma>;
