/** Reading the numbers that cgroups show: single values, flat keyed tables, lists of processors. A file that is not there has none. */
import { readIfThere } from './files.js';
import type { Count } from './stats-types.js';

/** The kernel's "no limit", as Go's uint64 has it. */
export const NO_LIMIT = 2n ** 64n - 1n;

/** A number of the kernel: as a bigint where a double would round it. `max` is no limit. */
export function count(text: string | undefined): Count | undefined {
  const word = text?.trim();
  if (word === 'max') return NO_LIMIT;
  if (word === undefined || !/^-?\d+$/.test(word)) return undefined;
  const number = Number(word);
  return Number.isSafeInteger(number) ? number : BigInt(word);
}

export function readCount(directory: string, file: string): Count | undefined {
  return count(readIfThere(directory, file));
}

/** `anon 4096\nfile 0`: by key, in the kernel's order. */
export function readTable(directory: string, file: string): Record<string, Count> {
  const table: Record<string, Count> = {};
  for (const line of (readIfThere(directory, file) ?? '').split('\n')) {
    const [key, word] = line.split(/\s+/);
    const value = count(word);
    if (key && value !== undefined) table[key] = value;
  }
  return table;
}

/** `0-2,5` is 0, 1, 2, 5. */
export function readList(directory: string, file: string): number[] {
  return (readIfThere(directory, file) ?? '')
    .trim()
    .split(',')
    .filter(Boolean)
    .flatMap((part) => {
      const [from = 0, to = from] = part.split('-').map(Number);
      return Array.from({ length: to - from + 1 }, (_, i) => from + i);
    });
}

export function add(a: Count, b: Count): Count {
  return smallest(BigInt(a) + BigInt(b));
}

export function times(a: Count, factor: number): Count {
  return smallest(BigInt(a) * BigInt(factor));
}

/** Leaves out what is 0, as Go's `omitempty` does. */
export function unlessZero<K extends string, V extends Count>(key: K, value: V | undefined): { readonly [k in K]?: V } {
  return value === undefined || BigInt(value) === 0n ? {} : ({ [key]: value } as { [k in K]?: V });
}

function smallest(value: bigint): Count {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
