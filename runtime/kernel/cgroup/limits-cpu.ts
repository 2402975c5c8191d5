/**
 * Limits of processor time, and of which processors and memory nodes are used. cgroup-v2.rst, "CPU Interface Files" and "Cpuset
 * Interface Files"; scheduler/sched-bwc.rst; cgroup-v1/cpusets.rst.
 */
import { TareError } from '../error.js';
import { BASE, maxOr, type Part, type Setting, settingsOf } from './setting.js';
import type { CgroupLimits, Unrealised } from './types.js';

type Cpu = NonNullable<CgroupLimits['cpu']>;

const BURST = { optional: { since: [5, 14] } } as const;
const IDLE = { optional: { since: [5, 15] } } as const;
/** CONFIG_RT_GROUP_SCHED, which distributions leave out. */
const REALTIME = { optional: { withRoot: 'cpu.rt_runtime_us' } } as const;

const DEFAULT_PERIOD = 100_000;

export function cpuPart(cpu: Cpu, version: 1 | 2): Part {
  const { shares, quota, period, burst, idle, realtimeRuntime, realtimePeriod } = cpu;
  const set = settingsOf('cpu', 'cpu');
  const list: Setting[] = [];
  const unenforced: Unrealised[] = [];
  if (version === 1) {
    if (shares) list.push(set('shares', 'shares', shares));
    if (period) list.push(set('cfs_period_us', 'period', period));
    if (quota) list.push(set('cfs_quota_us', 'quota', quota));
    if (burst !== undefined) list.push(set('cfs_burst_us', 'burst', burst, BURST));
    if (realtimePeriod) list.push(set('rt_period_us', 'realtimePeriod', realtimePeriod, REALTIME));
    if (realtimeRuntime) list.push(set('rt_runtime_us', 'realtimeRuntime', realtimeRuntime, REALTIME));
  } else {
    if (shares) list.push(set('weight', 'shares', sharesToWeight(shares)));
    if (quota || period)
      list.push(set('max', quota ? 'quota' : 'period', `${maxOr(quota || -1)} ${maxOr(period || DEFAULT_PERIOD)}`));
    if (burst !== undefined) list.push(set('max.burst', 'burst', burst, BURST));
    const why = 'version 2 has no limit of real-time scheduling';
    if (realtimePeriod) unenforced.push({ field: `${BASE}.cpu.realtimePeriod`, why });
    if (realtimeRuntime) unenforced.push({ field: `${BASE}.cpu.realtimeRuntime`, why });
  }
  // An idle group takes no weight (EINVAL), so idle comes last.
  if (idle !== undefined) list.push(set('idle', 'idle', idle, IDLE));
  return { settings: list, unenforced };
}

/** As the kernel reads a list: numbers, ranges, and `0-31:2/8` for two of every eight (bitmap_parselist). */
const LIST = /^\d+(-\d+(:\d+\/\d+)?)?(,\d+(-\d+(:\d+\/\d+)?)?)*$/;

export function cpusetPart({ cpus, mems }: Cpu): Part {
  const list: Setting[] = [];
  const set = settingsOf('cpuset', 'cpu');
  for (const [name, value] of Object.entries({ cpus, mems })) {
    if (value === undefined || value === '') continue;
    if (!LIST.test(value))
      throw new TareError('config', `cpu.${name} ${JSON.stringify(value)} is no list such as 0-2,4`, {
        path: `${BASE}.cpu.${name}`,
      });
    list.push(set(name, name, value));
  }
  return { settings: list };
}

/**
 * cpu.shares (2 to 262144, 1024 by default) as cpu.weight (1 to 10000, 100 by default): a parabola through the logarithms, so that
 * both ends and the defaults meet. The straight line that was used before maps the default 1024 to 39.
 */
export function sharesToWeight(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

/** The way back, for showing: the least number of shares that gives this weight. */
export function weightToShares(weight: number): number {
  let low = 2;
  let high = 262144;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (sharesToWeight(middle) >= weight) high = middle;
    else low = middle + 1;
  }
  return low;
}
