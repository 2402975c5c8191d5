/**
 * `process` of config.json: the program, who it is and what it may do. config.md#process; `exec` reads the same object from
 * its process.json.
 */
import { RLIMITS } from '../kernel/rlimits.js';
import { exactU64, i32, u64, userId } from './fields.js';
import { array, defaulted, flag, integer, object, optional, type TypeOf, text, word } from './schema.js';

const user = object({
  uid: defaulted(userId, 0),
  gid: defaulted(userId, 0),
  umask: optional(integer(0, 0o777)),
  additionalGids: optional(array(userId)),
});

const rlimit = object({ type: word(RLIMITS), soft: exactU64, hard: exactU64 });

const capabilities = object({
  bounding: optional(array(text)),
  effective: optional(array(text)),
  permitted: optional(array(text)),
  inheritable: optional(array(text)),
  ambient: optional(array(text)),
});

/** SCHED_ISO has a number in the kernel's header, and no implementation. */
export const SCHEDULER_POLICIES = [
  'SCHED_OTHER',
  'SCHED_FIFO',
  'SCHED_RR',
  'SCHED_BATCH',
  'SCHED_ISO',
  'SCHED_IDLE',
  'SCHED_DEADLINE',
] as const;
export type SchedulerPolicy = (typeof SCHEDULER_POLICIES)[number];

export const SCHEDULER_FLAGS = [
  'SCHED_FLAG_RESET_ON_FORK',
  'SCHED_FLAG_RECLAIM',
  'SCHED_FLAG_DL_OVERRUN',
  'SCHED_FLAG_KEEP_POLICY',
  'SCHED_FLAG_KEEP_PARAMS',
  'SCHED_FLAG_UTIL_CLAMP_MIN',
  'SCHED_FLAG_UTIL_CLAMP_MAX',
] as const;
export type SchedulerFlag = (typeof SCHEDULER_FLAGS)[number];

/** sched_setattr(2). Times are nanoseconds, and only for SCHED_DEADLINE. */
const scheduler = object({
  policy: word(SCHEDULER_POLICIES),
  nice: optional(i32),
  priority: optional(i32),
  flags: optional(array(word(SCHEDULER_FLAGS))),
  runtime: optional(u64),
  deadline: optional(u64),
  period: optional(u64),
});

export const IO_PRIORITY_CLASSES = ['IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE'] as const;
export type IoPriorityClass = (typeof IO_PRIORITY_CLASSES)[number];

/** ioprio_set(2): 0 is the most urgent, 7 the least. */
const ioPriority = object({ class: word(IO_PRIORITY_CLASSES), priority: defaulted(integer(0, 7), 0) });

/** Lists of processors (`0-3,7`) for what `exec` starts: while it is set up, and when it runs. Empty means unchanged. */
const cpuAffinity = object({ initial: optional(text), final: optional(text) });

export const processSchema = object({
  terminal: optional(flag),
  consoleSize: optional(object({ height: u64, width: u64 })),
  cwd: text,
  env: optional(array(text)),
  args: optional(array(text)),
  user: defaulted(user, { uid: 0, gid: 0 }),
  rlimits: optional(array(rlimit)),
  capabilities: optional(capabilities),
  noNewPrivileges: optional(flag),
  oomScoreAdj: optional(integer(-1000, 1000)),
  apparmorProfile: optional(text),
  selinuxLabel: optional(text),
  scheduler: optional(scheduler),
  ioPriority: optional(ioPriority),
  execCPUAffinity: optional(cpuAffinity),
});

export type Process = TypeOf<typeof processSchema>;
export type User = TypeOf<typeof user>;
export type Rlimit = TypeOf<typeof rlimit>;
export type Capabilities = TypeOf<typeof capabilities>;
export type Scheduler = TypeOf<typeof scheduler>;
export type IoPriority = TypeOf<typeof ioPriority>;
export type CpuAffinity = TypeOf<typeof cpuAffinity>;
