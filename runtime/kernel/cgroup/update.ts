/**
 * New limits for a cgroup that is in use. The kernel checks each value against those it has (memory against memory and swap, a
 * quota against its period), so what it refuses now may be right once the others are written; if one is refused for good, the old
 * values come back. runtime-spec: config-linux.md, Control groups.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TareError } from '../error.js';
import { readIfThere, writeValue } from './files.js';
import { realiseLimits } from './limits.js';
import { firstOffered, type Setting } from './setting.js';
import type { CgroupLimits, CgroupPlace } from './types.js';

/**
 * Changes limits; what is not named stays as it is.
 * @param before the limits that the cgroup got until now: some values mean something only together (memory and swap, quota and period)
 * @throws TareError `config` for values that cannot be, `unsupported` for limits that this machine's cgroups do not have,
 *   `system-call` for what the kernel refuses; then all is as before
 */
export function updateCgroup(places: readonly CgroupPlace[], change: CgroupLimits, before: CgroupLimits = {}): void {
  const limits = completed(change, before);
  checkUsage(places, limits);
  const writes = asWrites(places, limits);
  const old = writes.map(({ directory, file }) => ({ directory, file, value: readIfThere(directory, file)?.trim() }));
  try {
    settle(writes);
  } catch (error) {
    const restorable = old.filter((write): write is Write => isOneValue(write.value));
    try {
      settle(restorable);
    } catch (cause) {
      // What made the update fail is what the caller wants to know.
      if (!(cause instanceof TareError)) throw cause;
    }
    throw error;
  }
}

/** The limits that hold after a change: what a later change is completed with. */
export function mergeLimits(before: CgroupLimits, change: CgroupLimits): CgroupLimits {
  const merged: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(completed(change, before))) {
    if (value === undefined) continue;
    const old = merged[name];
    merged[name] = isRecord(value) && isRecord(old) ? { ...old, ...value } : value;
  }
  return merged;
}

/** Adds to a change what it needs of the values before. */
function completed(change: CgroupLimits, before: CgroupLimits): CgroupLimits {
  const { memory, cpu } = change;
  return {
    ...change,
    ...(memory && { memory: completedMemory(memory, before.memory ?? {}) }),
    ...(cpu && { cpu: completedCpu(cpu, before.cpu ?? {}) }),
  };
}

type Memory = NonNullable<CgroupLimits['memory']>;
type Cpu = NonNullable<CgroupLimits['cpu']>;

function completedMemory(memory: Memory, before: Memory): Memory {
  if (!memory.limit && !memory.swap) return memory;
  // Memory without a limit takes the limit off swap too, unless that gets one of its own.
  if (memory.limit === -1 && !memory.swap) return { ...memory, swap: -1 };
  const { limit, swap } = before;
  return { ...memory, limit: memory.limit || limit, swap: memory.swap || swap };
}

function completedCpu(cpu: Cpu, before: Cpu): Cpu {
  if (!cpu.quota === !cpu.period) return cpu;
  return { ...cpu, quota: cpu.quota || before.quota, period: cpu.period || before.period };
}

interface Write {
  readonly directory: string;
  readonly file: string;
  readonly value: string;
}

function asWrites(places: readonly CgroupPlace[], limits: CgroupLimits): Write[] {
  const placeOf = (controller: string) =>
    places.find(({ version, controllers }) => version === 1 && controllers.includes(controller)) ??
    places.find((place) => place.version === 2 && (controller === 'cgroup' || enabledIn(place).includes(controller)));
  const { settings, unenforced } = realiseLimits({ ...limits, devices: undefined }, (name) => placeOf(name)?.version);
  const missing = [...unenforced];
  const writes: Write[] = [];
  for (const setting of settings) {
    const directory = placeOf(setting.controller)?.directory;
    if (directory === undefined) continue; // realiseLimits has asked, and named it
    const found = firstOffered(setting, (one) => isThere(directory, one));
    if (found === undefined) missing.push({ field: setting.field, why: `this kernel has no ${setting.file}` });
    else if (found !== 'nothing') writes.push({ directory, file: found.file, value: found.value });
  }
  const first = missing[0];
  if (first)
    throw new TareError('unsupported', `${first.field} cannot be changed here: ${first.why}`, { path: first.field });
  return writes;
}

function enabledIn({ directory }: CgroupPlace): string[] {
  return (readIfThere(directory, 'cgroup.controllers') ?? '').split(/\s+/);
}

function isThere(directory: string, { file, optional }: Setting): boolean {
  return optional === undefined || existsSync(join(directory, file));
}

/** Writes all; what is refused as invalid is tried again after the others, as long as that gets on. */
function settle(writes: readonly Write[]): void {
  let waiting = writes;
  while (waiting.length > 0) {
    const refused: Write[] = [];
    let failure: unknown;
    for (const write of waiting) {
      try {
        writeValue(write.directory, write.file, write.value);
      } catch (error) {
        if (!(error instanceof TareError && error.syscall?.errno === 'EINVAL')) throw error;
        failure = error;
        refused.push(write);
      }
    }
    if (refused.length === waiting.length) throw failure;
    waiting = refused;
  }
}

/** `checkBeforeUpdate`: version 1 refuses a limit below what is in use, version 2 would kill processes instead. */
function checkUsage(places: readonly CgroupPlace[], { memory }: CgroupLimits): void {
  if (!memory?.checkBeforeUpdate) return;
  const place = places.find(({ controllers, version }) => version === 2 || controllers.includes('memory'));
  const text = place && readIfThere(place.directory, place.version === 2 ? 'memory.current' : 'memory.usage_in_bytes');
  const usage = Number(text ?? 0);
  for (const name of ['swap', 'limit'] as const) {
    const limit = memory[name] ?? 0;
    if (limit > 0 && limit <= usage)
      throw new TareError('config', `rejecting memory.${name} ${limit}: ${usage} bytes are in use`, {
        path: `linux.resources.memory.${name}`,
      });
  }
}

/** Not a table by device, which cannot be written back as it was read. */
function isOneValue(text: string | undefined): text is string {
  return text !== undefined && text !== '' && !text.includes('\n');
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
