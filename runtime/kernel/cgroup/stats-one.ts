/** The counters of version 1. cgroup-v1/cpuacct.rst, memory.rst, cpusets.rst, blkio-controller.rst, hugetlb.rst. */
import { readIfThere } from './files.js';
import { count, readCount, readList, readTable, times, unlessZero } from './stats-read.js';
import type { BlkioEntry, BlkioStats, CgroupStats, Count, CpusetStats, MemoryUse } from './stats-types.js';

/** cpuacct.stat counts in ticks of USER_HZ, which is 100 on every architecture that Linux has left. */
const NANOSECONDS_PER_TICK = 10_000_000;

export function cpuacctV1(directory: string): CgroupStats['cpu']['usage'] {
  const { user = 0, system = 0 } = readTable(directory, 'cpuacct.stat');
  const words = (text: string | undefined) => (text ?? '').trim().split(/\s+/).filter(Boolean);
  const percpu = words(readIfThere(directory, 'cpuacct.usage_percpu')).map((word) => count(word) ?? 0);
  // `cpu user system`, then one line a processor.
  const lines = (readIfThere(directory, 'cpuacct.usage_all') ?? '').trim().split('\n').slice(1).map(words);
  const column = (i: number) => lines.map((line) => count(line[i]) ?? 0);
  return {
    ...unlessZero('total', readCount(directory, 'cpuacct.usage')),
    ...(percpu.length > 0 && { percpu }),
    ...(lines.length > 0 && { percpu_kernel: column(2), percpu_user: column(1) }),
    kernel: times(system, NANOSECONDS_PER_TICK),
    user: times(user, NANOSECONDS_PER_TICK),
  };
}

export function throttlingV1(directory: string): CgroupStats['cpu']['throttling'] {
  const { nr_periods, nr_throttled, throttled_time } = readTable(directory, 'cpu.stat');
  return {
    ...unlessZero('periods', nr_periods),
    ...unlessZero('throttledPeriods', nr_throttled),
    ...unlessZero('throttledTime', throttled_time),
  };
}

export function cpusetV1(directory: string): CpusetStats {
  const value = (name: string): Count => readCount(directory, `cpuset.${name}`) ?? 0;
  return {
    cpus: readList(directory, 'cpuset.cpus'),
    cpu_exclusive: value('cpu_exclusive'),
    mems: readList(directory, 'cpuset.mems'),
    mem_hardwall: value('mem_hardwall'),
    mem_exclusive: value('mem_exclusive'),
    memory_migrate: value('memory_migrate'),
    memory_spread_page: value('memory_spread_page'),
    memory_spread_slab: value('memory_spread_slab'),
    memory_pressure: value('memory_pressure'),
    sched_load_balance: value('sched_load_balance'),
    sched_relax_domain_level: value('sched_relax_domain_level'),
  };
}

export function memoryV1(directory: string): CgroupStats['memory'] {
  const raw = readTable(directory, 'memory.stat');
  const use = (prefix: string): MemoryUse => ({
    limit: readCount(directory, `${prefix}.limit_in_bytes`) ?? 0,
    ...unlessZero('usage', readCount(directory, `${prefix}.usage_in_bytes`)),
    ...unlessZero('max', readCount(directory, `${prefix}.max_usage_in_bytes`)),
    failcnt: readCount(directory, `${prefix}.failcnt`) ?? 0,
  });
  return {
    ...unlessZero('cache', raw.cache),
    usage: use('memory'),
    swap: use('memory.memsw'),
    kernel: use('memory.kmem'),
    kernelTCP: use('memory.kmem.tcp'),
    raw,
  };
}

/** By scheduler: BFQ counts what passes it, the throttle layer what passes any. The first that is there counts. */
export function blkioV1(directory: string): BlkioStats {
  const entries = (file: string) => blkioEntries(readIfThere(directory, file));
  for (const [prefix, suffix] of [
    ['blkio.bfq', '_recursive'],
    ['blkio.throttle', '_recursive'],
    ['blkio.throttle', ''],
  ]) {
    const bytes = entries(`${prefix}.io_service_bytes${suffix}`);
    const operations = entries(`${prefix}.io_serviced${suffix}`);
    if (bytes === undefined || operations === undefined) continue;
    if (bytes.length === 0 && prefix === 'blkio.bfq') continue; // no disk of this machine is scheduled by it
    return {
      ...(bytes.length > 0 && { ioServiceBytesRecursive: bytes }),
      ...(operations.length > 0 && { ioServicedRecursive: operations }),
    };
  }
  return {};
}

/** `8:0 Read 1282048`; the line `Total 3477504` is left out. */
function blkioEntries(text: string | undefined): BlkioEntry[] | undefined {
  return text?.split('\n').flatMap((line) => {
    const [, major, minor, op, value] = /^(\d+):(\d+) (?:(\w+) )?(\d+)$/.exec(line) ?? [];
    if (major === undefined) return [];
    return [
      {
        ...unlessZero('major', count(major)),
        ...unlessZero('minor', count(minor)),
        ...(op && { op }),
        ...unlessZero('value', count(value)),
      },
    ];
  });
}

export function hugetlbV1(directory: string, sizes: readonly string[]): CgroupStats['hugetlb'] {
  const found: Record<string, CgroupStats['hugetlb'][string]> = {};
  for (const size of sizes) {
    // Reservations count, since Linux 5.7; before, what is in use.
    const prefix = [`hugetlb.${size}.rsvd`, `hugetlb.${size}`].find(
      (name) => readIfThere(directory, `${name}.usage_in_bytes`) !== undefined,
    );
    if (prefix === undefined) continue;
    found[size] = {
      ...unlessZero('usage', readCount(directory, `${prefix}.usage_in_bytes`)),
      ...unlessZero('max', readCount(directory, `${prefix}.max_usage_in_bytes`)),
      failcnt: readCount(directory, `${prefix}.failcnt`) ?? 0,
    };
  }
  return found;
}
