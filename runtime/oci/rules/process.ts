/** The rules of `process`: config.md#process, sched_setattr(2). `exec` has the same, for a document of its own. */
import { parseNumberList } from '../number-list.js';
import type { Process, Scheduler } from '../process.js';
import type { Fault } from '../schema.js';
import { absolute, below, faultIf, type Rule } from './rule.js';

export const ofProcess: Rule = ({ process }) => (process === undefined ? [] : processFaults(process, 'process'));

/** @param at JSON path of the process; empty for a document of its own */
export function processFaults(process: Process, at: string): Fault[] {
  const { terminal, consoleSize, cwd, args, env = [], scheduler, execCPUAffinity } = process;
  return [
    ...absolute(below(at, 'cwd'), cwd),
    ...faultIf(!args?.length, below(at, 'args'), 'must hold at least the program to run'),
    ...env.flatMap((entry, i) =>
      faultIf(entry.indexOf('=') < 1, below(at, `env[${i}]`), `must be NAME=value, not ${JSON.stringify(entry)}`),
    ),
    ...ofLimits(process, at),
    ...(scheduler ? ofScheduler(scheduler, below(at, 'scheduler')) : []),
    ...(['initial', 'final'] as const).flatMap((when) =>
      ofList(execCPUAffinity?.[when], below(at, `execCPUAffinity.${when}`)),
    ),
    // Without a terminal the size "MUST be ignored".
    ...(['height', 'width'] as const).flatMap((side) =>
      faultIf(
        terminal === true && (consoleSize?.[side] ?? 0) > 65_535,
        below(at, `consoleSize.${side}`),
        `is at most 65535, not ${consoleSize?.[side]} (TIOCSWINSZ)`,
      ),
    ),
  ];
}

function ofLimits({ rlimits = [] }: Process, at: string): Fault[] {
  return rlimits.flatMap((limit, i) => {
    const path = below(at, `rlimits[${i}]`);
    const again = rlimits.findIndex((other) => other.type === limit.type) < i;
    return [
      ...faultIf(again, `${path}.type`, `names ${limit.type} a second time`),
      ...faultIf(limit.soft > limit.hard, `${path}.soft`, `must not be above the hard limit ${limit.hard}`),
    ];
  });
}

/** What the kernel answers with EINVAL, and what it ignores with this policy. */
function ofScheduler({ policy, nice = 0, priority = 0, ...deadlines }: Scheduler, at: string): Fault[] {
  const { runtime = 0, deadline = 0, period = 0 } = deadlines;
  const realTime = policy === 'SCHED_FIFO' || policy === 'SCHED_RR';
  const only = (name: string, value: number) =>
    faultIf(policy !== 'SCHED_DEADLINE' && value !== 0, `${at}.${name}`, `is for SCHED_DEADLINE, not for ${policy}`);
  return [
    ...faultIf(nice < -20 || nice > 19, `${at}.nice`, `is from -20 to 19, not ${nice}`),
    ...faultIf(
      realTime && (priority < 1 || priority > 99),
      `${at}.priority`,
      `is from 1 to 99 with ${policy}, not ${priority}`,
    ),
    ...faultIf(!realTime && priority !== 0, `${at}.priority`, `is for SCHED_FIFO and SCHED_RR, not for ${policy}`),
    ...only('runtime', runtime),
    ...only('deadline', deadline),
    ...only('period', period),
    ...faultIf(
      ![runtime, deadline, period].every(Number.isSafeInteger),
      `${at}.runtime`,
      'deadline and period are at most 2^53-1 ns (the kernel takes seconds)',
    ),
    ...faultIf(
      policy === 'SCHED_DEADLINE' && !(0 < runtime && runtime <= deadline && (period === 0 || deadline <= period)),
      `${at}.runtime`,
      'must not be 0, nor above deadline; and deadline not above period (sched(7))',
    ),
  ];
}

/** A list of processors or memory nodes; empty asks for nothing. */
export function ofList(list: string | undefined, path: string): Fault[] {
  if (list === undefined || parseNumberList(list) !== null) return [];
  return [{ path, message: `must be a list of numbers and ranges as 0-3,7, not ${JSON.stringify(list)}` }];
}
