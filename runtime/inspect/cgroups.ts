/**
 * Where a process stands in the cgroup hierarchies, and what limits hold there. One description for cgroup v1, v2 and the
 * hybrid of both: a limit is looked for in the hierarchy that has its controller, in the process's cgroup and all above
 * it, since the tightest one counts (cgroups(7), Documentation/admin-guide/cgroup-v2.rst). Written and changed elsewhere:
 * runtime/kernel has the drivers.
 */
import { type MountInfo, parseMountInfo } from '../kernel/mountinfo.js';
import type { ProcSource } from './proc-source.js';
import { malformed, readText, unlessRefused } from './read.js';

export interface CgroupFacts {
  readonly version: 1 | 2;
  /** v1: the controllers of this hierarchy (`memory`, `name=systemd`); v2: none are named. */
  readonly controllers: readonly string[];
  /** As /proc/PID/cgroup has it: relative to the cgroup namespace of the reader. */
  readonly path: string;
  /** The directory to read it at, in the reader's mounts; null where the hierarchy is not mounted, or out of sight. */
  readonly directory: string | null;
  /** Where that hierarchy is mounted: the topmost directory that can be seen. */
  readonly mountPoint: string | null;
}

/** A limit of the kernel; `null` is none. */
export interface Limit {
  /** Set for the process's own cgroup. */
  readonly own: number | null;
  /** The tightest of its own and those above. */
  readonly effective: number | null;
  /** The directory of the cgroup that sets the effective one. */
  readonly from: string | null;
}

/** What is missing has no controller that the reader can see. */
export interface CgroupLimits {
  /** Bytes: memory.max, memory.limit_in_bytes. */
  readonly memory?: Limit;
  /** Bytes in use: memory.current, memory.usage_in_bytes. */
  readonly memoryUsed?: number;
  /** Bytes. v2: memory.swap.max. v1: memory.memsw.limit_in_bytes, which counts memory and swap together. */
  readonly swap?: Limit;
  /** Tasks: pids.max. */
  readonly pids?: Limit;
  readonly pidsUsed?: number;
  /** CPUs: the quota divided by the period, 0.5 for half of one (cpu.max; cpu.cfs_quota_us, cpu.cfs_period_us). */
  readonly cpu?: Limit;
  /** v2: cpu.weight, 1 to 10,000. v1: cpu.shares, 2 to 262,144. */
  readonly cpuWeight?: number;
}

/** Far more hierarchies and levels than a machine has; a hostile guest may claim any number. */
const MAX_HIERARCHIES = 64;
const MAX_DEPTH = 64;
const FILE_MAX = 4096;

/** The cgroups of a process, one a hierarchy. @throws TareError `not-found`, `permission`, `protocol`. */
export async function cgroups(source: ProcSource, pid: number): Promise<CgroupFacts[]> {
  const [text, mounts] = await Promise.all([readText(source, pid, 'cgroup'), cgroupMounts(source)]);
  return locateCgroups(text, mounts);
}

/** The limits that hold for a process by its cgroups. @throws as {@link cgroups}. */
export async function cgroupLimits(source: ProcSource, pid: number): Promise<CgroupLimits> {
  return readLimits(source, await cgroups(source, pid));
}

/** What /proc/PID/cgroup says, with the directories that `mounts`, those of the reader, show it at. */
export function locateCgroups(text: string, mounts: readonly MountInfo[]): CgroupFacts[] {
  const lines = text.split('\n').filter(Boolean);
  if (lines.length > MAX_HIERARCHIES) throw malformed('/proc/PID/cgroup', text);
  return lines.map((line) => {
    const match = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    if (!match) throw malformed('/proc/PID/cgroup', line);
    const [, id, names = '', path = ''] = match;
    const version = id === '0' && names === '' ? 2 : 1;
    const controllers = names.split(',').filter(Boolean);
    const mount = mounts.find((m) =>
      version === 2
        ? m.fsType === 'cgroup2'
        : m.fsType === 'cgroup' && controllers.every((name) => m.superOptions.includes(name)),
    );
    return {
      version,
      controllers,
      path,
      directory: mount ? directoryOf(path, mount) : null,
      mountPoint: mount?.mountPoint ?? null,
    };
  });
}

/** Reads the limits of cgroups that were found by {@link cgroups}. A file that is not there sets no limit. */
export async function readLimits(source: ProcSource, found: readonly CgroupFacts[]): Promise<CgroupLimits> {
  const read = async (directory: string, file: string): Promise<string | undefined> => {
    // The root has no limit files, a controller may be off here, the cgroup may be gone: no limit.
    const text = await unlessRefused(source.readFile(`${directory}/${file}`, FILE_MAX));
    return text?.toString('latin1').trim();
  };
  const v2 = found.find((c) => c.version === 2)?.directory;
  const v1 = (controller: string) =>
    found.find((c) => c.version === 1 && c.controllers.includes(controller))?.directory;
  const enabled = v2 ? ((await read(v2, 'cgroup.controllers')) ?? '').split(' ') : [];
  const where = (controller: string) => v1(controller) ?? (v2 && enabled.includes(controller) ? v2 : undefined);

  const limit = async (controller: string, inV2: LimitFile, inV1: LimitFile): Promise<Limit | undefined> => {
    const directory = where(controller);
    if (!directory) return undefined;
    const file = directory === v2 ? inV2 : inV1;
    const values = await Promise.all(
      upwards(directory, found).map(async (level) => ({ level, value: await file(level, read) })),
    );
    let effective: { level: string; value: number } | undefined;
    for (const { level, value } of values) {
      if (value !== null && (!effective || value < effective.value)) effective = { level, value };
    }
    return {
      own: values[0]?.value ?? null,
      effective: effective?.value ?? null,
      from: effective?.level ?? null,
    };
  };
  const count = async (controller: string, inV2: string, inV1: string): Promise<number | undefined> => {
    const directory = where(controller);
    if (!directory) return undefined;
    return plain(await read(directory, directory === v2 ? inV2 : inV1)) ?? undefined;
  };

  const [memory, memoryUsed, swap, pids, pidsUsed, cpu, cpuWeight] = await Promise.all([
    limit('memory', one('memory.max'), one('memory.limit_in_bytes')),
    count('memory', 'memory.current', 'memory.usage_in_bytes'),
    limit('memory', one('memory.swap.max'), one('memory.memsw.limit_in_bytes')),
    limit('pids', one('pids.max'), one('pids.max')),
    count('pids', 'pids.current', 'pids.current'),
    limit('cpu', cpuMax, cpuQuota),
    count('cpu', 'cpu.weight', 'cpu.shares'),
  ]);
  return { memory, memoryUsed, swap, pids, pidsUsed, cpu, cpuWeight };
}

/** The cgroup file systems that the reader has mounted. */
export async function cgroupMounts(source: ProcSource): Promise<MountInfo[]> {
  const text = (await source.readFile('/proc/self/mountinfo')).toString('utf8');
  return parseMountInfo(text).filter((mount) => mount.fsType === 'cgroup' || mount.fsType === 'cgroup2');
}

type Read = (directory: string, file: string) => Promise<string | undefined>;
/** How a limit is read at one level; null is no limit. */
type LimitFile = (directory: string, read: Read) => Promise<number | null>;

const one =
  (file: string): LimitFile =>
  async (directory, read) =>
    plain(await read(directory, file));

/** `50000 100000`, or `max 100000`. */
const cpuMax: LimitFile = async (directory, read) => {
  const [quota, period] = ((await read(directory, 'cpu.max')) ?? '').split(' ');
  return ratio(quota, period);
};

const cpuQuota: LimitFile = async (directory, read) =>
  ratio(await read(directory, 'cpu.cfs_quota_us'), await read(directory, 'cpu.cfs_period_us'));

function ratio(quota: string | undefined, period: string | undefined): number | null {
  const [above, below] = [plain(quota), plain(period)];
  return above === null || !below || above < 0 ? null : above / below;
}

/** A number; null for `max`, and for v1's way to say so: the largest number of pages, in bytes, which no double holds. */
function plain(text: string | undefined): number | null {
  if (text === undefined || !/^-?\d{1,20}$/.test(text)) return null;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : null;
}

/** A path above the cgroup namespace's root, `/../x`, and one outside what is mounted, cannot be read at. */
function directoryOf(path: string, mount: MountInfo): string | null {
  if (path.split('/').includes('..')) return null;
  if (mount.root === '/') return path === '/' ? mount.mountPoint : mount.mountPoint + path;
  if (path === mount.root) return mount.mountPoint;
  return path.startsWith(`${mount.root}/`) ? mount.mountPoint + path.slice(mount.root.length) : null;
}

/** The directory and those above it, up to where the hierarchy is mounted. */
function upwards(directory: string, found: readonly CgroupFacts[]): string[] {
  const top = found.find((c) => c.directory === directory)?.mountPoint ?? directory;
  const list = [directory];
  for (let at = directory; at !== top && at.startsWith(top) && list.length < MAX_DEPTH; ) {
    at = at.slice(0, at.lastIndexOf('/'));
    list.push(at);
  }
  return list;
}
