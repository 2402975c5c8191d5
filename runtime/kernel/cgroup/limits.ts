/**
 * Limits of config.json as files of a cgroup with values. Both versions of cgroups have most of them, under different names
 * and in different units: one file a controller says which. runtime-spec: config-linux.md, Control groups.
 */
import { TareError } from '../error.js';
import { compileDeviceProgram } from './device-program.js';
import { deviceSettings } from './devices.js';
import { cpuPart, cpusetPart } from './limits-cpu.js';
import { blockIoPart } from './limits-io.js';
import { memoryPart } from './limits-memory.js';
import { hugetlbPart, netClassPart, netPriorityPart, pidsPart, rdmaPart } from './limits-other.js';
import { BASE, type Part, type Setting } from './setting.js';
import type { CgroupLimits, Unrealised } from './types.js';

export { sharesToWeight, weightToShares } from './limits-cpu.js';

export interface Realised {
  readonly settings: readonly Setting[];
  /** Device rules, where they are no settings but a program. */
  readonly deviceProgram: Uint8Array | undefined;
  /** What does not hold. */
  readonly unenforced: readonly Unrealised[];
  /** What means nothing here, and that engines send all the same. */
  readonly ignored: readonly Unrealised[];
}

/** The version of the hierarchy that has a controller (or `cgroup`, the core of version 2); undefined when none has it. */
export type VersionOf = (controller: string) => 1 | 2 | undefined;

/**
 * The files to write, in an order that the kernel accepts for a new cgroup.
 * @param versionOf for `devices`, 2 is where a program can stand in for the controller, which version 2 does not have
 * @throws TareError `config` for values that contradict each other.
 */
export function realiseLimits(limits: CgroupLimits, versionOf: VersionOf): Realised {
  const settings: Setting[] = [];
  const unenforced: Unrealised[] = [];
  const ignored: Unrealised[] = [];
  const { memory, pids, cpu, blockIO, hugepageLimits, network, rdma, devices, unified } = limits;
  const { cpus, mems, ...time } = cpu ?? {};
  const { classID, priorities } = network ?? {};
  /** The names are those that the controller has in version 1 and in version 2. */
  const add = <T>(
    names: readonly string[],
    section: string,
    part: T | undefined,
    make: (part: T, version: 1 | 2) => Part,
  ) => {
    if (part === undefined) return;
    const version = names.map(versionOf).find((found) => found !== undefined);
    if (version === undefined) {
      const controller = names.at(-1);
      const why = `no cgroup has the controller ${controller} here`;
      unenforced.push(...asked(part, `${BASE}.${section}`).map((field) => ({ field, why, controller })));
      return;
    }
    const made = make(part, version);
    settings.push(...made.settings);
    unenforced.push(...(made.unenforced ?? []));
    ignored.push(...(made.ignored ?? []));
  };
  add(['memory'], 'memory', memory, memoryPart);
  add(['pids'], 'pids', pids, pidsPart);
  add(['cpu'], 'cpu', time, cpuPart);
  add(['cpuset'], 'cpu', { cpus, mems }, cpusetPart);
  add(['blkio', 'io'], 'blockIO', blockIO, blockIoPart);
  add(['hugetlb'], 'hugepageLimits', hugepageLimits, hugetlbPart);
  add(['net_cls'], 'network', { classID }, netClassPart);
  add(['net_prio'], 'network', { priorities }, netPriorityPart);
  add(['rdma'], 'rdma', rdma, rdmaPart);
  const deviceProgram = addDevices(devices ?? [], versionOf, settings, unenforced);
  addUnified(unified ?? {}, versionOf, settings, unenforced);
  return { settings, deviceProgram, unenforced, ignored };
}

/** The fields that ask for something: in a machine without the controller, the others lose nothing. */
function asked(part: unknown, path: string): string[] {
  if (Array.isArray(part)) return part.length > 0 ? [path] : [];
  return Object.entries(part as object).flatMap(([name, value]) => {
    if (value === undefined || value === '' || value === false || name === 'checkBeforeUpdate') return [];
    if (typeof value === 'object') return Object.keys(value as object).length > 0 ? [`${path}.${name}`] : [];
    // 0 is "not set", below it is "no limit", and so is what Go makes of -1; the kernel's own default for the two where 0 is a value.
    if (typeof value === 'number' && (value < 0 || value >= 2 ** 63 || (value === 0 && name !== 'swappiness')))
      return [];
    return [`${path}.${name}`];
  });
}

function addDevices(
  devices: NonNullable<CgroupLimits['devices']>,
  versionOf: VersionOf,
  settings: Setting[],
  unenforced: Unrealised[],
): Uint8Array | undefined {
  const field = `${BASE}.devices`;
  if (devices.length === 0) return undefined;
  const version = versionOf('devices');
  if (version === 2) return compileDeviceProgram(devices, field);
  if (version === 1) settings.push(...deviceSettings(devices, field));
  else
    unenforced.push({
      field,
      why: 'no cgroup has the controller devices here, and no program can be loaded in its place (Linux 4.15, as root of the machine)',
    });
  return undefined;
}

function addUnified(
  unified: NonNullable<CgroupLimits['unified']>,
  versionOf: VersionOf,
  settings: Setting[],
  unenforced: Unrealised[],
): void {
  for (const [file, text] of Object.entries(unified)) {
    const controller = checkUnified(file);
    const field = `${BASE}.unified[${JSON.stringify(file)}]`;
    if (versionOf('cgroup') !== 2) unenforced.push({ field, why: 'this machine has no cgroups of version 2' });
    else if (versionOf(controller) !== 2)
      unenforced.push({ field, why: `no cgroup of version 2 has the controller ${controller} here`, controller });
    // Each line is a command of its own.
    else for (const value of text.split('\n').filter(Boolean)) settings.push({ controller, file, value, field });
  }
}

/** The controller of a file of `unified`. A slash would name a file of another cgroup; other `cgroup.*` files move and kill processes. */
function checkUnified(file: string): string {
  const allowed = /^[a-z_]+\.[A-Za-z0-9_.]+$/.test(file) && !/^cgroup\.(?!max\.|pressure$)/.test(file);
  if (!allowed)
    throw new TareError('config', `linux.resources.unified: ${JSON.stringify(file)} is no limit of a cgroup`, {
      path: `${BASE}.unified`,
    });
  return file.split('.')[0] ?? '';
}
