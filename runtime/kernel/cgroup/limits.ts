/**
 * Limits of config.json as files of a cgroup with values. Both versions of cgroups have most of them, under different names
 * and in different units; one table a controller says which. runtime-spec: config-linux.md; kernel: cgroup-v1/*.rst, cgroup-v2.rst.
 */
import { TareError } from '../error.js';
import { compileDeviceProgram } from './device-program.js';
import { deviceSettings } from './devices.js';
import type { CgroupLimits } from './types.js';

export interface Setting {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** The config field: `linux.resources.memory.limit`. */
  readonly field: string;
  /**
   * Not every kernel has the file; where it is missing, the field is reported as unenforced. This tells, where no cgroup can be looked
   * at, whether it will be there: the version that brought it, or another file that there is with it.
   */
  readonly optional?: { readonly since: readonly [major: number, minor: number] } | { readonly with: string };
}

/** Swap is accounted for where there is swap at all (CONFIG_SWAP). */
const WITH_SWAP = { with: '/proc/swaps' } as const;
const BURST = { since: [5, 14] } as const;
const IDLE = { since: [5, 15] } as const;

export interface Realised {
  readonly settings: readonly Setting[];
  /** Device rules, where they are no settings but a program. */
  readonly deviceProgram: Uint8Array | undefined;
  readonly unenforced: readonly { readonly field: string; readonly why: string }[];
}

const BASE = 'linux.resources';

/**
 * The files to write, in an order that the kernel accepts for a new cgroup.
 * @param versionOf the version of the hierarchy that has a controller (or `cgroup`, the core of version 2); undefined when none has it.
 *   For `devices`, 2 is where a program can stand in for the controller, which version 2 does not have.
 * @throws TareError `config` for values that contradict each other.
 */
export function realiseLimits(limits: CgroupLimits, versionOf: (controller: string) => 1 | 2 | undefined): Realised {
  const settings: Setting[] = [];
  const unenforced: { field: string; why: string }[] = [];
  let deviceProgram: Uint8Array | undefined;
  const add = (controller: string, part: Part, make: (version: 1 | 2) => readonly (Setting | Missing)[]) => {
    if (part === undefined) return;
    const version = versionOf(controller);
    if (version === undefined) {
      for (const name of Object.keys(part).filter((key) => (part as Record<string, unknown>)[key] !== undefined))
        unenforced.push({
          field: `${BASE}.${fieldOf(controller, name)}`,
          why: `no cgroup has the controller ${controller} here`,
        });
      return;
    }
    for (const item of make(version)) {
      if ('why' in item) unenforced.push(item);
      else settings.push(item);
    }
  };
  const { memory, pids, cpu, devices, unified } = limits;
  const { cpus, mems, ...time } = cpu ?? {};
  add('memory', memory, (version) => memorySettings(memory ?? {}, version));
  add('pids', pids, () => pidsSettings(pids ?? {}));
  add('cpu', has(time) ? time : undefined, (version) => cpuSettings(time, version));
  add('cpuset', cpus === undefined && mems === undefined ? undefined : { cpus, mems }, () =>
    cpusetSettings(cpus, mems),
  );
  if (devices && devices.length > 0) {
    const version = versionOf('devices');
    if (version === 1) settings.push(...deviceSettings(devices, `${BASE}.devices`));
    else if (version === 2) deviceProgram = compileDeviceProgram(devices, `${BASE}.devices`);
    else
      unenforced.push({
        field: `${BASE}.devices`,
        why: 'no cgroup has the controller devices here, and no program can be loaded in its place (Linux 4.15, as root of the machine)',
      });
  }
  for (const [file, value] of Object.entries(unified ?? {})) {
    const controller = checkUnified(file);
    const field = `${BASE}.unified[${JSON.stringify(file)}]`;
    if (versionOf(controller) === 2) settings.push({ controller, file, value, field });
    else unenforced.push({ field, why: `no cgroup of version 2 has the controller ${controller} here` });
  }
  return { settings, deviceProgram, unenforced };
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

type Part = object | undefined;
type Missing = { readonly field: string; readonly why: string };

function memorySettings(memory: NonNullable<CgroupLimits['memory']>, version: 1 | 2): (Setting | Missing)[] {
  const { limit, reservation, swap, swappiness, disableOOMKiller } = memory;
  const field = (name: string) => `${BASE}.memory.${name}`;
  const set = (file: string, name: string, value: string, optional?: Setting['optional']): Setting => ({
    controller: 'memory',
    file: `memory.${file}`,
    value,
    field: field(name),
    optional,
  });
  if (limit !== undefined && limit > 0 && swap !== undefined && swap > 0 && swap < limit)
    throw new TareError(
      'config',
      `memory.swap counts memory and swap together, so ${swap} cannot be less than memory.limit ${limit}`,
      {
        path: field('swap'),
      },
    );
  const list: (Setting | Missing)[] = [];
  if (version === 1) {
    // Memory first: the sum of memory and swap may not be below it.
    if (limit) list.push(set('limit_in_bytes', 'limit', String(limit)));
    if (swap) list.push(set('memsw.limit_in_bytes', 'swap', String(swap), WITH_SWAP));
    if (reservation) list.push(set('soft_limit_in_bytes', 'reservation', String(reservation)));
    if (swappiness !== undefined) list.push(set('swappiness', 'swappiness', String(swappiness)));
    if (disableOOMKiller) list.push(set('oom_control', 'disableOOMKiller', '1'));
    return list;
  }
  if (limit) list.push(set('max', 'limit', maxOr(limit)));
  if (reservation) list.push(set('low', 'reservation', maxOr(reservation)));
  if (swap) list.push(set('swap.max', 'swap', swapAlone(swap, limit), WITH_SWAP));
  if (swappiness !== undefined)
    list.push({ field: field('swappiness'), why: 'version 2 has no swappiness of a cgroup' });
  if (disableOOMKiller)
    list.push({ field: field('disableOOMKiller'), why: 'version 2 cannot switch the OOM killer off' });
  return list;
}

/** Version 1 limits the sum of memory and swap, version 2 the swap alone. */
function swapAlone(swap: number, limit: number | undefined): string {
  if (swap < 0) return 'max';
  if (limit === undefined || limit <= 0)
    throw new TareError('config', 'memory.swap counts memory and swap together, so it needs memory.limit', {
      path: `${BASE}.memory.swap`,
    });
  return String(swap - limit);
}

/** 0 is no limit, as Docker has it: the kernel's own 0 would keep the first process out (CLONE_INTO_CGROUP: EAGAIN). */
function pidsSettings(pids: NonNullable<CgroupLimits['pids']>): Setting[] {
  if (pids.limit === undefined) return [];
  const value = pids.limit > 0 ? String(pids.limit) : 'max';
  return [{ controller: 'pids', file: 'pids.max', value, field: `${BASE}.pids.limit` }];
}

function cpuSettings(cpu: NonNullable<CgroupLimits['cpu']>, version: 1 | 2): Setting[] {
  const { shares, quota, period, burst, idle } = cpu;
  const list: Setting[] = [];
  const set = (file: string, name: string, value: string, optional?: Setting['optional']) =>
    list.push({ controller: 'cpu', file: `cpu.${file}`, value, field: `${BASE}.cpu.${name}`, optional });
  // An idle group takes no weight (EINVAL), so idle comes last.
  if (version === 1) {
    if (shares) set('shares', 'shares', String(shares));
    if (period) set('cfs_period_us', 'period', String(period));
    if (quota) set('cfs_quota_us', 'quota', String(quota));
    if (burst !== undefined) set('cfs_burst_us', 'burst', String(burst), BURST);
  } else {
    if (shares) set('weight', 'shares', String(sharesToWeight(shares)));
    if (quota || period) set('max', quota ? 'quota' : 'period', `${maxOr(quota || -1)} ${period || 100000}`);
    if (burst !== undefined) set('max.burst', 'burst', String(burst), BURST);
  }
  if (idle !== undefined) set('idle', 'idle', String(idle), IDLE);
  return list;
}

function cpusetSettings(cpus: string | undefined, mems: string | undefined): Setting[] {
  const list: Setting[] = [];
  for (const [name, value] of Object.entries({ cpus, mems })) {
    if (value === undefined || value === '') continue;
    if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(value))
      throw new TareError('config', `cpu.${name} ${JSON.stringify(value)} is no list such as 0-2,4`, {
        path: `${BASE}.cpu.${name}`,
      });
    list.push({ controller: 'cpuset', file: `cpuset.${name}`, value, field: `${BASE}.cpu.${name}` });
  }
  return list;
}

/** The controller of a file of `unified`. A slash would name a file of another cgroup; `cgroup.*` files move and kill processes. */
function checkUnified(file: string): string {
  const allowed = /^[a-z]+\.[a-z0-9_.]+$/.test(file) && !/^cgroup\.(?!max\.)/.test(file);
  if (!allowed)
    throw new TareError('config', `linux.resources.unified: ${JSON.stringify(file)} is no limit of a cgroup`, {
      path: `${BASE}.unified`,
    });
  return file.split('.')[0] ?? '';
}

function maxOr(value: number): string {
  return value < 0 ? 'max' : String(value);
}

function has(part: object): boolean {
  return Object.values(part).some((value) => value !== undefined);
}

function fieldOf(controller: string, name: string): string {
  return controller === 'cpuset' ? `cpu.${name}` : `${controller}.${name}`;
}
