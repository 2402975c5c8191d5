/**
 * What a container has used of processor, memory, disk and processes, in the shape of `runc events --stats`. Each controller
 * is read where it is: in its hierarchy of version 1, else in that of version 2, whose numbers are converted to the older ones.
 * cgroup-v2.rst; cgroup-v1/*.rst.
 */
import { readdirSync } from 'node:fs';
import { readIfThere, unless } from './files.js';
import { blkioV1, cpuacctV1, cpusetV1, hugetlbV1, memoryV1, throttlingV1 } from './stats-one.js';
import { count, readCount, unlessZero } from './stats-read.js';
import { blkioV2, cpuV2, hugetlbV2, memoryV2 } from './stats-two.js';
import type { CgroupStats, CpusetStats, MemoryUse, NetworkInterfaceStats, Pressure } from './stats-types.js';
import type { CgroupPlace } from './types.js';

/**
 * @param interfaces of the container's network namespace, which is no matter of cgroups
 */
export function cgroupStats(
  places: readonly CgroupPlace[],
  interfaces: readonly NetworkInterfaceStats[] | null = null,
): CgroupStats {
  const second = places.find(({ version }) => version === 2)?.directory;
  const first = (controller: string) =>
    places.find(({ version, controllers }) => version === 1 && controllers.includes(controller))?.directory;
  /** From version 1 where it is there, else from version 2, else nothing. */
  const read = <T>(controller: string, one: (directory: string) => T, two: (directory: string) => T, none: T): T => {
    const directory = first(controller);
    if (directory !== undefined) return one(directory);
    return second === undefined ? none : two(second);
  };
  const psi = (file: string) => (second === undefined ? {} : pressure(second, file));
  // Version 2 counts processor time in every cgroup, whether the controller is enabled or not.
  const usage = read('cpuacct', cpuacctV1, (directory) => cpuV2(directory).usage, { kernel: 0, user: 0 });
  const throttling = read('cpu', throttlingV1, (directory) => cpuV2(directory).throttling, {});
  const memory = read('memory', memoryV1, memoryV2, NO_MEMORY);
  const blkio = read('blkio', blkioV1, blkioV2, {});
  const pageSizes = hugePageSizes();
  return {
    cpu: { usage, throttling, ...psi('cpu.pressure') },
    cpuset: read('cpuset', cpusetV1, () => NO_CPUSET, NO_CPUSET),
    memory: { ...memory, ...psi('memory.pressure') },
    pids: read('pids', pids, pids, {}),
    blkio: { ...blkio, ...psi('io.pressure') },
    hugetlb: read(
      'hugetlb',
      (directory) => hugetlbV1(directory, pageSizes),
      (directory) => hugetlbV2(directory, pageSizes),
      {},
    ),
    intel_rdt: {},
    network_interfaces: interfaces,
  };
}

const NOTHING: MemoryUse = { limit: 0, failcnt: 0 };
const NO_MEMORY = { usage: NOTHING, swap: NOTHING, kernel: NOTHING, kernelTCP: NOTHING };

/** Version 2 shows none of these. */
const NO_CPUSET: CpusetStats = {
  cpu_exclusive: 0,
  mem_hardwall: 0,
  mem_exclusive: 0,
  memory_migrate: 0,
  memory_spread_page: 0,
  memory_spread_slab: 0,
  memory_pressure: 0,
  sched_load_balance: 0,
  sched_relax_domain_level: 0,
};

/** The files are the same in both versions. No limit is 0 here, that is, nothing. */
function pids(directory: string): CgroupStats['pids'] {
  const current = readCount(directory, 'pids.current');
  const limit = readIfThere(directory, 'pids.max')?.trim();
  if (current !== undefined)
    return { ...unlessZero('current', current), ...(limit === 'max' ? {} : unlessZero('limit', count(limit))) };
  // Version 2 without the controller can still be counted by hand.
  const members = (readIfThere(directory, 'cgroup.procs') ?? '').split('\n').filter(Boolean).length;
  return unlessZero('current', members);
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`. Not on kernels without PSI, or where it is switched off (EOPNOTSUPP). */
function pressure(directory: string, file: string): { psi?: Pressure } {
  const text = unless(['EOPNOTSUPP'], () => readIfThere(directory, file));
  if (!text) return {};
  const line = (kind: string) => {
    const found = new RegExp(`^${kind} (.*)$`, 'm').exec(text)?.[1] ?? '';
    const values = new Map(found.split(' ').map((pair) => pair.split('=') as [string, string]));
    const average = (name: string) => Number(values.get(name) ?? 0);
    const [avg10, avg60, avg300] = [average('avg10'), average('avg60'), average('avg300')];
    return { avg10, avg60, avg300, total: count(values.get('total')) ?? 0 };
  };
  return { psi: { some: line('some'), full: line('full') } };
}

/** As the files of cgroups call them: `2MB` for hugepages-2048kB. */
function hugePageSizes(): string[] {
  const names = unless(['ENOENT'], () => readdirSync('/sys/kernel/mm/hugepages')) ?? [];
  return names.flatMap((name) => {
    const size = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]);
    if (Number.isNaN(size)) return [];
    if (size >= 1 << 20) return [`${size >> 20}GB`];
    return [size >= 1 << 10 ? `${size >> 10}MB` : `${size}KB`];
  });
}
