/**
 * The smaller files of /proc/PID, each with a function that reads it: id maps (user_namespaces(7)), resource limits
 * (getrlimit(2)), mounts, root, command line, LSM label, open descriptors. Where a process has no such thing (a kernel
 * thread has no exe, a zombie no mounts) the answer is null or empty, not an error.
 */
import { TareError } from '../kernel/error.js';
import { type MountInfo, parseMountInfo } from '../kernel/mountinfo.js';
import type { ProcSource } from './proc-source.js';
import { errorCode, explain, malformed, parseNumber, procPath, readLink, readText } from './read.js';

export interface IdMapping {
  readonly inside: number;
  /** In the user namespace of the reader; for the reader's own, in its parent. */
  readonly outside: number;
  readonly length: number;
}

export interface ResourceLimit {
  /** `null`: unlimited. */
  readonly soft: number | null;
  readonly hard: number | null;
}

/** A directory that a process is rooted or stands in. */
export interface Place {
  /** As the reader sees it. `/` for another mount namespace, whose root it is: compare `dev` and `ino`, not paths. */
  readonly path: string;
  readonly dev: number;
  readonly ino: number;
}

/** Mounts of the process's mount namespace, in the order of mountinfo. @throws TareError `not-found`, `permission`, `protocol`. */
export async function mountInfo(source: ProcSource, pid: number): Promise<MountInfo[]> {
  const text = await unlessAbsent(readText(source, pid, 'mountinfo', 16 << 20), ['EINVAL']);
  return text === null ? [] : parseMountInfo(text);
}

/** The root directory. @throws TareError `not-found`, `permission`. */
export async function root(source: ProcSource, pid: number): Promise<Place> {
  return place(source, pid, 'root');
}

/** The working directory. @throws TareError `not-found`, `permission`. */
export async function cwd(source: ProcSource, pid: number): Promise<Place> {
  return place(source, pid, 'cwd');
}

/** Whether two processes have the same root directory. @throws TareError `not-found`, `permission`. */
export async function sameRoot(source: ProcSource, a: number, b: number): Promise<boolean> {
  const [first, second] = await Promise.all([root(source, a), root(source, b)]);
  return first.dev === second.dev && first.ino === second.ino;
}

/** The program's file; null for a kernel thread and for a zombie. A deleted one ends in ` (deleted)`. */
export async function exe(source: ProcSource, pid: number): Promise<string | null> {
  return unlessAbsent(readLink(source, pid, 'exe'), ['ENOENT']);
}

/** The arguments as the process has them now: it may overwrite them. Empty for a kernel thread and for a zombie. */
export async function cmdline(source: ProcSource, pid: number): Promise<string[]> {
  const text = await readText(source, pid, 'cmdline', 4 << 20);
  return text === '' ? [] : text.replace(/\0$/, '').split('\0');
}

/** uid_map; empty until one is written. @throws TareError `not-found`, `permission`, `protocol`. */
export async function uidMap(source: ProcSource, pid: number): Promise<IdMapping[]> {
  return parseIdMap((await unlessAbsent(readText(source, pid, 'uid_map'), ['EINVAL', 'EIO'])) ?? '');
}

/** gid_map; empty until one is written. */
export async function gidMap(source: ProcSource, pid: number): Promise<IdMapping[]> {
  return parseIdMap((await unlessAbsent(readText(source, pid, 'gid_map'), ['EINVAL', 'EIO'])) ?? '');
}

/** Limits by the name that getrlimit(2) has for them: `RLIMIT_NOFILE`. Bytes, seconds, microseconds or a count. */
export async function resourceLimits(source: ProcSource, pid: number): Promise<Record<string, ResourceLimit>> {
  return parseLimits((await unlessAbsent(readText(source, pid, 'limits'), ['EINVAL'])) ?? '');
}

/** The label of the security module in use (AppArmor profile, SELinux context); null when there is none. */
export async function securityLabel(source: ProcSource, pid: number): Promise<string | null> {
  const text = await unlessAbsent(readText(source, pid, 'attr/current', 4096), ['EINVAL', 'ENOENT', 'EOPNOTSUPP']);
  return text?.replace(/[\0\n]+$/, '') || null;
}

/** How many descriptors are open. Since Linux 6.2 it is the size of /proc/PID/fd; before, the names are counted. */
export async function descriptorCount(source: ProcSource, pid: number): Promise<number> {
  const path = procPath(pid, 'fd');
  try {
    const { size } = await source.stat(path);
    return size > 0 ? size : (await source.readdir(path)).length;
  } catch (error) {
    throw explain(error, pid, path);
  }
}

/** oom_score (0 to 2,000: who is killed first) and the adjustment that was asked for (-1,000 to 1,000). */
export async function oomScore(source: ProcSource, pid: number): Promise<{ score: number; adjust: number }> {
  const [score, adjust] = await Promise.all([
    readText(source, pid, 'oom_score', 64),
    readText(source, pid, 'oom_score_adj', 64),
  ]);
  return {
    score: parseNumber(score.trim(), '/proc/PID/oom_score'),
    adjust: parseNumber(adjust.trim(), '/proc/PID/oom_score_adj'),
  };
}

export function parseIdMap(text: string): IdMapping[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  // The kernel takes at most 340 (user_namespaces(7)).
  if (lines.length > 340) throw malformed('/proc/PID/uid_map', text);
  return lines.map((line) => {
    const [inside, outside, length] = line.trim().split(/\s+/);
    const number = (word: string | undefined) => parseNumber(word, '/proc/PID/uid_map');
    return { inside: number(inside), outside: number(outside), length: number(length) };
  });
}

/** The names in /proc/PID/limits, and the constants of getrlimit(2). */
const LIMIT_NAMES: ReadonlyMap<string, string> = new Map([
  ['Max cpu time', 'RLIMIT_CPU'],
  ['Max file size', 'RLIMIT_FSIZE'],
  ['Max data size', 'RLIMIT_DATA'],
  ['Max stack size', 'RLIMIT_STACK'],
  ['Max core file size', 'RLIMIT_CORE'],
  ['Max resident set', 'RLIMIT_RSS'],
  ['Max processes', 'RLIMIT_NPROC'],
  ['Max open files', 'RLIMIT_NOFILE'],
  ['Max locked memory', 'RLIMIT_MEMLOCK'],
  ['Max address space', 'RLIMIT_AS'],
  ['Max file locks', 'RLIMIT_LOCKS'],
  ['Max pending signals', 'RLIMIT_SIGPENDING'],
  ['Max msgqueue size', 'RLIMIT_MSGQUEUE'],
  ['Max nice priority', 'RLIMIT_NICE'],
  ['Max realtime priority', 'RLIMIT_RTPRIO'],
  ['Max realtime timeout', 'RLIMIT_RTTIME'],
]);

export function parseLimits(text: string): Record<string, ResourceLimit> {
  const limits: Record<string, ResourceLimit> = {};
  for (const line of text.split('\n').slice(1).filter(Boolean)) {
    const match = /^(Max [a-z ]+?) {2,}(\d+|unlimited) +(\d+|unlimited)\b/.exec(line);
    if (!match) throw malformed('/proc/PID/limits', line);
    const name = LIMIT_NAMES.get(match[1] ?? '');
    // 2^64-1 is written as "unlimited"; what lies between it and 2^53 is no limit to anybody either.
    const value = (word: string | undefined) => (Number.isSafeInteger(Number(word)) ? Number(word) : null);
    if (name) limits[name] = { soft: value(match[2]), hard: value(match[3]) };
  }
  return limits;
}

async function place(source: ProcSource, pid: number, name: 'root' | 'cwd'): Promise<Place> {
  const path = await readLink(source, pid, name);
  try {
    const { dev, ino } = await source.stat(procPath(pid, name));
    return { path, dev, ino };
  } catch (error) {
    throw explain(error, pid, procPath(pid, name));
  }
}

/** null where the kernel says by one of these errnos that the process has no such thing. */
async function unlessAbsent<T>(promise: Promise<T>, absent: readonly string[]): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof TareError && absent.includes(errorCode(error) ?? '')) return null;
    throw error;
  }
}
