/**
 * How the process is scheduled, on which processors, from which memory nodes, and what machine it takes this one for. Each is
 * an attribute that programs inherit, so it is set once, on the process that becomes the program. sched(7), ioprio_set(2),
 * sched_setaffinity(2), set_mempolicy(2), personality(2).
 */
import { TareError } from '../../kernel/error.js';
import {
  type CpuLimits,
  type IoPriorityClass,
  type MemoryPolicyFlag,
  type MemoryPolicyMode,
  type Personality,
  parseNumberList,
  type SchedulerFlag,
  type SchedulerPolicy,
} from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Compilation } from './compilation.js';

/** Scheduler, I/O priority, personality and memory policy. Before the limits: RLIMIT_NICE and RLIMIT_RTPRIO would bind it, too. */
export function setScheduling(compilation: Compilation): void {
  setScheduler(compilation);
  setIoPriority(compilation);
  setPersonality(compilation);
  setMemoryPolicy(compilation);
}

/**
 * On all processors that its cgroup allows. Whoever runs the runtime may be bound to some (taskset(1), a systemd unit), and a process keeps
 * that until told otherwise. In the cgroup already: the kernel refuses what has no processor in common with its cpuset.
 */
export function resetAffinity({ builder }: Pick<Compilation, 'builder'>): void {
  builder.inside.sched_setaffinity(
    { mask: Buffer.alloc(MAX_PROCESSORS / 8, 0xff) },
    {
      why: 'all processors of its cgroup, not those that the caller is bound to',
      tolerate: ['EINVAL', 'EPERM'],
    },
  );
}

/** For `exec`: where the runtime's own process runs until it has entered the cgroup. Its children inherit that. */
export function initialAffinity({ process }: Pick<Compilation, 'process'>, lane: LaneBuilder): void {
  setAffinity(lane, 'process.execCPUAffinity.initial', process.execCPUAffinity?.initial, 'while it is being set up');
}

/** For `exec`: where the program runs, once its process is in the cgroup; else wherever the cgroup allows. */
export function finalAffinity(compilation: Pick<Compilation, 'process' | 'builder'>): void {
  const { process, builder } = compilation;
  const processors = process.execCPUAffinity?.final;
  if (processors) setAffinity(builder.inside, 'process.execCPUAffinity.final', processors, 'from here on');
  else if (!process.execCPUAffinity?.initial) resetAffinity(compilation);
}

function setAffinity(lane: LaneBuilder, field: string, processors: string | undefined, when: string): void {
  if (!processors) return;
  const mask = bitSet(processors, MAX_PROCESSORS, field);
  lane.for(field).sched_setaffinity({ mask }, `on the processors ${processors.trim()} ${when}`);
}

/** SCHED_* of <linux/sched.h>. */
const POLICIES: Readonly<Record<SchedulerPolicy, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};

const SCHEDULER_FLAG_BITS: Readonly<Record<SchedulerFlag, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01,
  SCHED_FLAG_RECLAIM: 0x02,
  SCHED_FLAG_DL_OVERRUN: 0x04,
  SCHED_FLAG_KEEP_POLICY: 0x08,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
};

function setScheduler({ builder, config, process }: Compilation): void {
  const { scheduler } = process;
  if (scheduler === undefined) return;
  const { policy, nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
  if (policy === 'SCHED_ISO') {
    throw refusal('process.scheduler.policy', 'asks for SCHED_ISO, which no Linux has implemented');
  }
  const flags = (scheduler.flags ?? []).reduce((mask, flag) => mask | SCHEDULER_FLAG_BITS[flag], 0);
  builder.inside
    .for('process.scheduler')
    .sched_setattr(
      { policy: POLICIES[policy], flags, nice, priority, runtime, deadline, period },
      `${policy}: when, and for how long, it gets a processor${conflict(policy, config.linux?.resources?.cpu)}`,
    );
}

/** What EPERM means where the cgroup limits what the policy needs: sched_setattr(2); sched-rt-group.rst. */
function conflict(policy: SchedulerPolicy, limits: CpuLimits = {}): string {
  if (policy === 'SCHED_DEADLINE' && limits.cpus)
    return "; this process scheduler can't be used together with AllowedCPUs (linux.resources.cpu.cpus), unless they are all";
  const realTime = policy === 'SCHED_FIFO' || policy === 'SCHED_RR';
  if (realTime && Object.keys(limits).length > 0 && !limits.realtimeRuntime)
    return '; in a cpu cgroup of version 1 it needs linux.resources.cpu.realtimeRuntime';
  return '';
}

/** IOPRIO_CLASS_* of <linux/ioprio.h>; they lie above the 13 bits of the priority. */
const IO_CLASSES: Readonly<Record<IoPriorityClass, number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
};

function setIoPriority({ builder, process }: Compilation): void {
  if (process.ioPriority === undefined) return;
  const { class: name, priority } = process.ioPriority;
  builder.inside
    .for('process.ioPriority')
    .ioprio_set(
      { priority: (IO_CLASSES[name] << 13) | priority },
      `${name} ${priority}: when its disk requests are served`,
    );
}

/** PER_* of <linux/personality.h>. */
const DOMAINS: Readonly<Record<Personality['domain'], number>> = { LINUX: 0, LINUX32: 8 };

function setPersonality({ builder, config }: Compilation): void {
  const { personality } = config.linux ?? {};
  if (personality === undefined) return;
  const { domain } = personality;
  builder.inside
    .for('linux.personality')
    .personality(
      { domain: DOMAINS[domain] },
      domain === 'LINUX32'
        ? 'uname(2) names a 32-bit machine'
        : 'what uname(2) says, and how memory is laid out, are as usual',
    );
}

/** MPOL_* of <linux/mempolicy.h>. */
const MODES: Readonly<Record<MemoryPolicyMode, number>> = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
};

const MODE_FLAG_BITS: Readonly<Record<MemoryPolicyFlag, number>> = {
  MPOL_F_STATIC_NODES: 0x8000,
  MPOL_F_RELATIVE_NODES: 0x4000,
  MPOL_F_NUMA_BALANCING: 0x2000,
};

function setMemoryPolicy({ builder, config }: Compilation): void {
  const { memoryPolicy } = config.linux ?? {};
  if (memoryPolicy === undefined) return;
  const { mode, nodes = '', flags = [] } = memoryPolicy;
  const set = bitSet(nodes, MAX_NODES, 'linux.memoryPolicy.nodes');
  const bits = flags.reduce((mask, flag) => mask | MODE_FLAG_BITS[flag], MODES[mode]);
  const where = nodes ? ` of the nodes ${nodes}` : '';
  builder.inside
    .for('linux.memoryPolicy')
    .set_mempolicy({ mode: bits, nodes: set }, `${[mode, ...flags].join(' ')}${where}: where its memory comes from`);
}

/** CONFIG_NR_CPUS and MAX_NUMNODES are at most so many; the kernel ignores bits of processors that it does not know. */
const MAX_PROCESSORS = 8192;
const MAX_NODES = 1024;

/** `0-3,7` as a bit set, in whole words of the kernel; empty for no number. */
function bitSet(list: string, most: number, field: string): Uint8Array {
  const numbers = parseNumberList(list);
  const last = numbers?.at(-1) ?? -1;
  if (numbers === null || last >= most) {
    throw refusal(field, `is ${JSON.stringify(list)}: an invalid list of numbers below ${most}, as 0-3,7`);
  }
  const set = new Uint8Array(Math.ceil((last + 1) / 64) * 8);
  for (const number of numbers) (set[number >> 3] as number) |= 1 << (number & 7);
  return set;
}

function refusal(path: string, what: string): TareError {
  return new TareError('config', `config.json: ${path} ${what}`, { path });
}
