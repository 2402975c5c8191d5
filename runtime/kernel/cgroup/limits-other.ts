/**
 * Limits of processes, huge pages, network classes and RDMA devices: a file or two each. cgroup-v1/pids.rst, hugetlb.rst,
 * net_cls.rst, net_prio.rst, rdma.rst; cgroup-v2.rst.
 */
import { TareError } from '../error.js';
import { BASE, maxOr, type Part, settingsOf } from './setting.js';
import type { CgroupLimits } from './types.js';

/** 0 is 1, as systemd and other runtimes have it: the first process comes in, and can start no other. */
export function pidsPart({ limit }: NonNullable<CgroupLimits['pids']>): Part {
  if (limit === undefined) return { settings: [] };
  return { settings: [settingsOf('pids', 'pids')('max', 'limit', maxOr(limit === 0 ? 1 : limit))] };
}

const RESERVATIONS = { optional: { since: [5, 7] }, otherwise: 'nothing' } as const;

/** Both what is in use and what is reserved, where the kernel limits reservations: they fail at mmap(2), not by SIGBUS later. */
export function hugetlbPart(limits: NonNullable<CgroupLimits['hugepageLimits']>, version: 1 | 2): Part {
  const suffix = version === 1 ? 'limit_in_bytes' : 'max';
  const settings = limits.flatMap(({ pageSize, limit }, i) => {
    const set = settingsOf('hugetlb', `hugepageLimits[${i}]`);
    const kilobytes = kilobytesOf(pageSize, `${BASE}.hugepageLimits[${i}].pageSize`);
    const known = { optional: { with: `/sys/kernel/mm/hugepages/hugepages-${kilobytes}kB` } };
    return [
      set(`${pageSize}.${suffix}`, 'limit', limit, known),
      set(`${pageSize}.rsvd.${suffix}`, 'limit', limit, RESERVATIONS),
    ];
  });
  return { settings };
}

function kilobytesOf(pageSize: string, path: string): number {
  const [, number, unit = ''] = /^(\d+)([KMG])B$/.exec(pageSize) ?? [];
  if (number === undefined)
    throw new TareError('config', `${path} ${JSON.stringify(pageSize)} is no size such as 64KB, 2MB or 1GB`, { path });
  return Number(number) * { K: 1, M: 1 << 10, G: 1 << 20 }[unit as 'K' | 'M' | 'G'];
}

/** A class that packets are marked with; 0 is none. */
export function netClassPart({ classID }: NonNullable<CgroupLimits['network']>): Part {
  return { settings: classID ? [settingsOf('net_cls', 'network')('classid', 'classID', classID)] : [] };
}

export function netPriorityPart({ priorities = [] }: NonNullable<CgroupLimits['network']>): Part {
  const set = settingsOf('net_prio', 'network');
  return {
    settings: priorities.map(({ name, priority }, i) => {
      if (/[\s/]/.test(name) || name === '')
        throw new TareError('config', `network.priorities[${i}].name ${JSON.stringify(name)} is no network interface`, {
          path: `${BASE}.network.priorities[${i}].name`,
        });
      return set('ifpriomap', `priorities[${i}]`, `${name} ${priority}`);
    }),
  };
}

export function rdmaPart(rdma: NonNullable<CgroupLimits['rdma']>): Part {
  const set = settingsOf('rdma', 'rdma');
  return {
    settings: Object.entries(rdma).flatMap(([device, { hcaHandles, hcaObjects }]) => {
      const path = `${BASE}.rdma[${JSON.stringify(device)}]`;
      if (/[\s/]/.test(device) || device === '')
        throw new TareError('config', `${path}: ${JSON.stringify(device)} is no RDMA device`, { path });
      const words = [
        ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
        ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
      ];
      if (words.length === 0) throw new TareError('config', `${path} must have hcaHandles or hcaObjects`, { path });
      return [{ ...set('max', '', [device, ...words].join(' ')), field: path }];
    }),
  };
}
