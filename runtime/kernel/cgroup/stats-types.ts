/**
 * What a container has used, in the shape that `runc events --stats` prints: containerd, cAdvisor and others parse it. A value
 * of 0 is left out where they have it left out. Times are nanoseconds, memory is bytes. Numbers beyond 2^53 are bigints: the
 * kernel's "no limit" is one; exact-json.ts prints them.
 */
export type Count = number | bigint;

export interface CgroupStats {
  readonly cpu: {
    readonly usage: {
      readonly total?: Count;
      readonly percpu?: readonly Count[];
      readonly percpu_kernel?: readonly Count[];
      readonly percpu_user?: readonly Count[];
      readonly kernel: Count;
      readonly user: Count;
    };
    readonly throttling: {
      readonly periods?: Count;
      readonly throttledPeriods?: Count;
      readonly throttledTime?: Count;
    };
    readonly psi?: Pressure;
  };
  readonly cpuset: CpusetStats;
  readonly memory: {
    readonly cache?: Count;
    readonly usage: MemoryUse;
    /** Memory and swap together. */
    readonly swap: MemoryUse;
    readonly kernel: MemoryUse;
    readonly kernelTCP: MemoryUse;
    /** memory.stat. */
    readonly raw?: Readonly<Record<string, Count>>;
    readonly psi?: Pressure;
  };
  readonly pids: { readonly current?: Count; readonly limit?: Count };
  readonly blkio: BlkioStats;
  /** By page size. */
  readonly hugetlb: Readonly<Record<string, { readonly usage?: Count; readonly max?: Count; readonly failcnt: Count }>>;
  readonly intel_rdt: Readonly<Record<string, never>>;
  readonly network_interfaces: readonly NetworkInterfaceStats[] | null;
}

export interface CpusetStats {
  readonly cpus?: readonly number[];
  readonly cpu_exclusive: Count;
  readonly mems?: readonly number[];
  readonly mem_hardwall: Count;
  readonly mem_exclusive: Count;
  readonly memory_migrate: Count;
  readonly memory_spread_page: Count;
  readonly memory_spread_slab: Count;
  readonly memory_pressure: Count;
  readonly sched_load_balance: Count;
  readonly sched_relax_domain_level: Count;
}

export interface MemoryUse {
  readonly limit: Count;
  readonly usage?: Count;
  readonly max?: Count;
  readonly failcnt: Count;
}

export interface BlkioStats {
  readonly ioServiceBytesRecursive?: readonly BlkioEntry[];
  readonly ioServicedRecursive?: readonly BlkioEntry[];
  readonly ioQueueRecursive?: readonly BlkioEntry[];
  readonly ioServiceTimeRecursive?: readonly BlkioEntry[];
  readonly ioWaitTimeRecursive?: readonly BlkioEntry[];
  readonly ioMergedRecursive?: readonly BlkioEntry[];
  readonly ioTimeRecursive?: readonly BlkioEntry[];
  readonly sectorsRecursive?: readonly BlkioEntry[];
  readonly psi?: Pressure;
}

export interface BlkioEntry {
  readonly major?: Count;
  readonly minor?: Count;
  readonly op?: string;
  readonly value?: Count;
}

/** Time lost by waiting: percent of the last 10, 60 and 300 seconds, and microseconds in all. Kernel: accounting/psi.rst. */
export interface Pressure {
  readonly some: PressureLine;
  readonly full: PressureLine;
}

export interface PressureLine {
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  readonly total: Count;
}

/** The names are as runc has them. */
export interface NetworkInterfaceStats {
  readonly Name: string;
  readonly RxBytes: Count;
  readonly RxPackets: Count;
  readonly RxErrors: Count;
  readonly RxDropped: Count;
  readonly TxBytes: Count;
  readonly TxPackets: Count;
  readonly TxErrors: Count;
  readonly TxDropped: Count;
}
