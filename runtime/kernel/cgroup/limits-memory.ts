/**
 * Limits of memory. Version 1 limits the sum of memory and swap, version 2 each by itself, and config.json counts as version 1
 * does. cgroup-v1/memory.rst; cgroup-v2.rst, "Memory Interface Files".
 */
import { TareError } from '../error.js';
import { BASE, maxOr, type Part, type Setting, settingsOf } from './setting.js';
import type { CgroupLimits, Unrealised } from './types.js';

type Memory = NonNullable<CgroupLimits['memory']>;

/** Swap is accounted for where there is swap at all (CONFIG_SWAP). */
const WITH_SWAP = { optional: { with: '/proc/swaps' } } as const;
/** Not to limit what cannot be used loses nothing. */
const WITH_SWAP_OR_NOTHING = { ...WITH_SWAP, otherwise: 'nothing' } as const;

const field = (name: string) => `${BASE}.memory.${name}`;

export function memoryPart(memory: Memory, version: 1 | 2): Part {
  check(memory);
  return {
    settings: version === 1 ? versionOne(memory) : versionTwo(memory),
    ignored: ignored(memory, version),
  };
}

function versionOne({ limit, reservation, swap, swappiness, disableOOMKiller }: Memory): Setting[] {
  const set = settingsOf('memory', 'memory');
  const list: Setting[] = [];
  // Memory first: the sum of memory and swap may not be below it.
  if (limit) list.push(set('limit_in_bytes', 'limit', limit));
  if (swap) list.push(set('memsw.limit_in_bytes', 'swap', swap, swap < 0 ? WITH_SWAP_OR_NOTHING : WITH_SWAP));
  else if (limit === -1) list.push(set('memsw.limit_in_bytes', 'limit', -1, WITH_SWAP_OR_NOTHING));
  if (reservation) list.push(set('soft_limit_in_bytes', 'reservation', reservation));
  if (isSwappiness(swappiness)) list.push(set('swappiness', 'swappiness', swappiness));
  if (disableOOMKiller) list.push(set('oom_control', 'disableOOMKiller', '1'));
  return list;
}

function versionTwo({ limit, reservation, swap }: Memory): Setting[] {
  const set = settingsOf('memory', 'memory');
  const list: Setting[] = [];
  if (limit) list.push(set('max', 'limit', maxOr(limit)));
  if (reservation) list.push(set('low', 'reservation', maxOr(reservation)));
  const alone = swapAlone(limit, swap);
  if (alone !== undefined) {
    const loses = alone !== 'max' && alone !== '0';
    list.push(set('swap.max', swap ? 'swap' : 'limit', alone, loses ? WITH_SWAP : WITH_SWAP_OR_NOTHING));
  }
  return list;
}

/** The limit of swap by itself, or undefined to leave it. */
function swapAlone(limit: number | undefined, swap: number | undefined): string | undefined {
  // Memory without a limit takes the limit off swap too, unless that gets one of its own.
  if (!swap) return limit === -1 ? 'max' : undefined;
  if (swap < 0) return 'max';
  if (limit === -1) return maxOr(swap);
  if (!limit)
    throw new TareError('config', 'memory.swap counts memory and swap together, so it needs memory.limit', {
      path: field('swap'),
    });
  return maxOr(swap - limit);
}

function check({ limit, swap, swappiness }: Memory): void {
  if (limit !== undefined && limit > 0 && swap !== undefined && swap > 0 && swap < limit)
    throw new TareError(
      'config',
      `memory.swap counts memory and swap together, so ${swap} cannot be less than memory.limit ${limit}`,
      { path: field('swap') },
    );
  if (isSwappiness(swappiness) && swappiness > 200)
    throw new TareError('config', `memory.swappiness ${swappiness} is not from 0 to 200`, {
      path: field('swappiness'),
    });
}

/** Docker sends -1 for "not set", which Go's uint64 turns into 2^64-1, and JSON into 2^64. */
function isSwappiness(value: number | undefined): value is number {
  return value !== undefined && value < 2 ** 63;
}

/** Engines send these whether they can be had or not, and other runtimes say nothing at all. */
function ignored(memory: Memory, version: 1 | 2): Unrealised[] {
  const list: Unrealised[] = [];
  const add = (name: string, why: string) => list.push({ field: field(name), why });
  if (memory.kernel !== undefined) add('kernel', 'the kernel takes no limit of its own memory any more (Linux 5.16)');
  if (memory.kernelTCP !== undefined) add('kernelTCP', 'the kernel counts buffers of TCP as memory of the cgroup');
  if (memory.useHierarchy === false) add('useHierarchy', 'a cgroup counts what is below it, always (Linux 5.11)');
  if (version === 1) return list;
  if (isSwappiness(memory.swappiness)) add('swappiness', 'version 2 has no swappiness of a cgroup');
  if (memory.disableOOMKiller) add('disableOOMKiller', 'version 2 cannot switch the OOM killer off');
  return list;
}
