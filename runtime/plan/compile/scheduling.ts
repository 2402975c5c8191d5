/**
 * How the process is scheduled, on which processors, from which memory nodes, and what machine it takes this one for. Each is
 * an attribute that programs inherit, so it is set once, on the process that becomes the program. sched(7), ioprio_set(2),
 * sched_setaffinity(2), set_mempolicy(2), personality(2).
 */

import {
  IOPRIO_CLASS_SHIFT,
  IOPRIO_CLASSES,
  MPOL_FLAGS,
  MPOL_MODES,
  PER_LINUX,
  PER_LINUX32,
  SCHED_FLAGS,
  SCHED_POLICIES,
} from '../../kernel/constants/scheduling.js';
import { TareError } from '../../kernel/error.js';
import { type CpuLimits, type Personality, parseNumberList, type SchedulerPolicy } from '../../oci/index.js';
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

function setScheduler({ builder, config, process }: Compilation): void {
  const { scheduler } = process;
  if (scheduler === undefined) return;
  const { policy, nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
  if (policy === 'SCHED_ISO') {
    throw refusal('process.scheduler.policy', 'asks for SCHED_ISO, which no Linux has implemented');
  }
  const flags = (scheduler.flags ?? []).reduce((mask, flag) => mask | SCHED_FLAGS[flag], 0);
  builder.inside
    .for('process.scheduler')
    .sched_setattr(
      { policy: SCHED_POLICIES[policy], flags, nice, priority, runtime, deadline, period },
      `${policy}: when, and for how long, it gets a processor${conflict(policy, config.linux?.resources?.cpu)}`,
    );
}

/** What EPERM means where the cgroup limits what the policy needs: sched_setattr(2); sched-rt-group.rst. */
function conflict(policy: SchedulerPolicy, limits: CpuLimits = {}): string {
  if (policy === 'SCHED_DEADLINE' && limits.cpus)
    return "; this process scheduler can't be used together with AllowedCPUs (linux.resources.cpu.cpus), unless they are all";
  const realTime = policy === 'SCHED_FIFO' || policy === 'SCHED_RR';
  if (realTime && !limits.realtimeRuntime)
    return '; in a cpu cgroup of version 1 it needs linux.resources.cpu.realtimeRuntime';
  return '';
}

function setIoPriority({ builder, process }: Compilation): void {
  if (process.ioPriority === undefined) return;
  const { class: name, priority } = process.ioPriority;
  builder.inside
    .for('process.ioPriority')
    .ioprio_set(
      { priority: (IOPRIO_CLASSES[name] << IOPRIO_CLASS_SHIFT) | priority },
      `${name} ${priority}: when its disk requests are served`,
    );
}

const DOMAINS: Readonly<Record<Personality['domain'], number>> = { LINUX: PER_LINUX, LINUX32: PER_LINUX32 };

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

function setMemoryPolicy({ builder, config }: Compilation): void {
  const { memoryPolicy } = config.linux ?? {};
  if (memoryPolicy === undefined) return;
  const { mode, nodes = '', flags = [] } = memoryPolicy;
  const set = bitSet(nodes, MAX_NODES, 'linux.memoryPolicy.nodes');
  const bits = flags.reduce((mask, flag) => mask | MPOL_FLAGS[flag], MPOL_MODES[mode] as number);
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
