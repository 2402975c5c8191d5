/** The counters of version 2, converted to what version 1 shows. cgroup-v2.rst, "Controllers". */
import { readIfThere } from './files.js';
import { add, count, NO_LIMIT, readCount, readTable, times, unlessZero } from './stats-read.js';
import type { BlkioEntry, BlkioStats, CgroupStats, MemoryUse } from './stats-types.js';

/** cpu.stat counts microseconds. */
export function cpuV2(directory: string): Pick<CgroupStats['cpu'], 'usage' | 'throttling'> {
  const table = readTable(directory, 'cpu.stat');
  const nanoseconds = (key: string) => times(table[key] ?? 0, 1000);
  return {
    usage: {
      ...unlessZero('total', nanoseconds('usage_usec')),
      kernel: nanoseconds('system_usec'),
      user: nanoseconds('user_usec'),
    },
    throttling: {
      ...unlessZero('periods', table.nr_periods),
      ...unlessZero('throttledPeriods', table.nr_throttled),
      ...unlessZero('throttledTime', nanoseconds('throttled_usec')),
    },
  };
}

/** Version 2 counts swap by itself; version 1 memory and swap together. How often a limit was met is in no counter of this shape. */
export function memoryV2(directory: string): CgroupStats['memory'] {
  const raw = readTable(directory, 'memory.stat');
  const nothing: MemoryUse = { limit: 0, failcnt: 0 };
  const memory = use(directory, 'memory');
  const swap = readIfThere(directory, 'memory.swap.current') === undefined ? undefined : use(directory, 'memory.swap');
  return {
    ...unlessZero('cache', raw.file),
    usage: memory,
    swap: {
      limit: swap === undefined || swap.limit === NO_LIMIT ? (swap?.limit ?? memory.limit) : sumOfLimits(swap, memory),
      ...unlessZero('usage', add(swap?.usage ?? 0, memory.usage ?? 0)),
      failcnt: 0,
    },
    kernel: nothing,
    kernelTCP: nothing,
    ...(Object.keys(raw).length > 0 && { raw }),
  };
}

function use(directory: string, prefix: string): MemoryUse {
  return {
    limit: readCount(directory, `${prefix}.max`) ?? 0,
    ...unlessZero('usage', readCount(directory, `${prefix}.current`)),
    ...unlessZero('max', readCount(directory, `${prefix}.peak`)), // Linux 5.19; for swap 6.5
    failcnt: 0,
  };
}

function sumOfLimits(a: MemoryUse, b: MemoryUse): MemoryUse['limit'] {
  return b.limit === NO_LIMIT ? NO_LIMIT : add(a.limit, b.limit);
}

/** `8:0 rbytes=90112 wbytes=0 rios=22 wios=0 dbytes=0 dios=0`. */
export function blkioV2(directory: string): BlkioStats {
  const bytes: BlkioEntry[] = [];
  const operations: BlkioEntry[] = [];
  for (const line of (readIfThere(directory, 'io.stat') ?? '').split('\n')) {
    const [device = '', ...pairs] = line.split(' ');
    const [, major, minor] = /^(\d+):(\d+)$/.exec(device) ?? [];
    if (major === undefined) continue;
    const values = new Map(pairs.map((pair) => pair.split('=') as [string, string]));
    const entry = (op: string, key: string): BlkioEntry[] => {
      const value = count(values.get(key));
      if (value === undefined) return [];
      const { ...where } = { ...unlessZero('major', count(major)), ...unlessZero('minor', count(minor)) };
      return [{ ...where, op, ...unlessZero('value', value) }];
    };
    bytes.push(...entry('Read', 'rbytes'), ...entry('Write', 'wbytes'));
    operations.push(...entry('Read', 'rios'), ...entry('Write', 'wios'));
  }
  return {
    ...(bytes.length > 0 && { ioServiceBytesRecursive: bytes }),
    ...(operations.length > 0 && { ioServicedRecursive: operations }),
  };
}

export function hugetlbV2(directory: string, sizes: readonly string[]): CgroupStats['hugetlb'] {
  const found: Record<string, CgroupStats['hugetlb'][string]> = {};
  for (const size of sizes) {
    // Reservations count, since Linux 5.7; before, what is in use.
    const usage =
      readCount(directory, `hugetlb.${size}.rsvd.current`) ?? readCount(directory, `hugetlb.${size}.current`);
    if (usage === undefined) continue;
    found[size] = { ...unlessZero('usage', usage), failcnt: readTable(directory, `hugetlb.${size}.events`).max ?? 0 };
  }
  return found;
}
