/**
 * Limits as properties of a systemd unit. They are written to the cgroup as well, which takes more of them and to the digit; but
 * systemd writes what it knows again whenever it is reloaded, so it must know. systemd.resource-control(5); org.freedesktop.systemd1(5).
 */
import { sharesToWeight } from '../cgroup/limits-cpu.js';
import type { CgroupLimits } from '../cgroup/types.js';
import type { DBusValue } from './marshal.js';

/** A name, and a value with its type: D-Bus' `(sv)`. */
export type Property = readonly [name: string, value: { readonly signature: string; readonly value: DBusValue }];

/** systemd's infinity, of bytes, tasks and microseconds. */
const INFINITY = 2n ** 64n - 1n;
const DEFAULT_PERIOD = 100_000;

/** @param version of the cgroups that systemd uses for what it limits */
export function limitProperties(limits: CgroupLimits, version: 1 | 2): Property[] {
  const { memory, cpu, pids } = limits;
  const list: Property[] = [];
  const add = (name: string, value: number | bigint) => list.push([name, { signature: 't', value }]);
  const addBytes = (name: string, value: number | undefined) => {
    if (value) add(name, amount(value));
  };
  if (version === 1) {
    addBytes('MemoryLimit', memory?.limit);
    if (cpu?.shares) add('CPUShares', cpu.shares);
  } else {
    addBytes('MemoryMax', memory?.limit);
    addBytes('MemoryLow', memory?.reservation);
    const { limit = 0, swap = 0 } = memory ?? {};
    if (swap) add('MemorySwapMax', swap > 0 && limit > 0 ? swap - limit : amount(swap));
    else if (limit === -1) add('MemorySwapMax', INFINITY);
    if (cpu?.shares && !cpu.idle) add('CPUWeight', sharesToWeight(cpu.shares));
  }
  if (cpu?.period) add('CPUQuotaPeriodUSec', cpu.period);
  if (cpu?.quota || cpu?.period) add('CPUQuotaPerSecUSec', quotaPerSecond(cpu.quota, cpu.period || DEFAULT_PERIOD));
  if (pids?.limit !== undefined) add('TasksMax', pids.limit === 0 ? 1 : amount(pids.limit));
  for (const [name, value] of [
    ['AllowedCPUs', cpu?.cpus],
    ['AllowedMemoryNodes', cpu?.mems],
  ] as const)
    if (value) list.push([name, { signature: 'ay', value: bits(value) }]);
  return list;
}

function amount(value: number): number | bigint {
  return value < 0 ? INFINITY : value;
}

/** Microseconds of processor time a second. systemd counts in percent, so it is rounded up to one: children may ask for it all. */
function quotaPerSecond(quota: number | undefined, period: number): number | bigint {
  if (!quota || quota < 0) return INFINITY;
  return Math.ceil((quota * 1_000_000) / period / 10_000) * 10_000;
}

/** `0-2,9` as a set of bits, the lowest first. */
function bits(list: string): Uint8Array {
  const numbers = list.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  const bytes = new Uint8Array(Math.floor(Math.max(...numbers) / 8) + 1);
  for (const number of numbers) bytes[number >> 3] = (bytes[number >> 3] ?? 0) | (1 << (number & 7));
  return bytes;
}
