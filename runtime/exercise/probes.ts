/**
 * What check.ts is written with: typed questions about the kernel's state, asked through a ProcSource. Processes are found by
 * what they are (outside the machine's uts namespace, pid 1 of a pid namespace of their own), and held by pid and start time,
 * since pids are used again. "The machine" is the set of namespaces that the reader itself is in.
 */
import {
  type MountInfo,
  mountInfo,
  NAMESPACE_TYPES,
  type NamespaceLink,
  type NamespaceType,
  namespaceInode,
  type ProcSource,
  processIds,
  startTime,
  status,
} from '../inspect/index.js';
import { TareError } from '../kernel/error.js';
import type { Probe, Verdict } from './types.js';

export type { MountInfo, NamespaceLink, NamespaceType, ProcSource };
export { NAMESPACE_TYPES };

/** A process of user space. With `startTime` the pid names it for good. */
export interface Process {
  readonly pid: number;
  readonly comm: string;
  readonly parent: number;
  readonly startTime: number;
}

export function yes(says?: string): Verdict {
  return { ok: true, says };
}

/** `says` is what the kernel shows, `where` the file that shows it. */
export function no(fault: string, says: string, where: string, expected: string): Verdict {
  return { ok: false, fault, says, where, expected };
}

/** All processes but kernel threads and zombies, by pid. */
export async function processes(proc: ProcSource): Promise<Process[]> {
  const kernel = await kernelThreads(proc);
  const pids = (await processIds(proc)).filter((pid) => !kernel.has(pid));
  const found = await Promise.all(pids.map((pid) => unlessGone(() => readProcess(proc, pid))));
  return found.filter((process) => process !== undefined).sort((a, b) => a.pid - b.pid);
}

/** Those in another namespace of this type than the machine's own. */
export async function outsiders(proc: ProcSource, type: NamespaceType): Promise<Process[]> {
  const own = await machineNamespace(proc, type);
  const inodes = await Promise.all(
    (await processes(proc)).map(async (process) => ({
      process,
      inode: await unlessGone(() => namespaceInode(proc, process.pid, type)),
    })),
  );
  return inodes.filter(({ inode }) => inode !== undefined && inode !== own).map(({ process }) => process);
}

/** Inode of the namespace that the reader, and with it the machine's ordinary processes, are in. */
export async function machineNamespace(proc: ProcSource, type: NamespaceLink): Promise<number> {
  const link = await proc.readlink(`/proc/self/ns/${type}`);
  const inode = Number(/^[a-z]+:\[(\d+)\]$/.exec(link)?.[1]);
  if (!Number.isSafeInteger(inode)) throw new TareError('protocol', `/proc/self/ns/${type} is no namespace: ${link}`);
  return inode;
}

/** Inode of a process's namespace. @throws TareError `not-found` when the process is gone. */
export async function namespaceOf(proc: ProcSource, pid: number, type: NamespaceLink): Promise<number> {
  return namespaceInode(proc, pid, type);
}

/** The pids of a process, from the machine's pid namespace inwards: the last is what it sees itself (NSpid of proc_pid_status(5)). */
export async function nsPids(proc: ProcSource, pid: number): Promise<readonly number[]> {
  return (await status(proc, pid)).nsPids;
}

/** The mounts that a process can reach. @throws TareError `not-found`. */
export async function mountsOf(proc: ProcSource, pid: number): Promise<MountInfo[]> {
  return mountInfo(proc, pid);
}

/** The mounts of the machine. */
export async function machineMounts(proc: ProcSource): Promise<MountInfo[]> {
  return mountsOf(proc, await ownPid(proc));
}

/** The mount that is seen at a path: the last one on it covers the others. */
export function mountAt(mounts: readonly MountInfo[], path: string): MountInfo | undefined {
  return mounts.findLast((mount) => mount.mountPoint === path);
}

/** Do two paths lead to the same file or directory? A path that does not exist is not the same as any other. */
export async function sameFile(proc: ProcSource, a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all([a, b].map((path) => unlessGone(() => proc.stat(path))));
  return first !== undefined && second !== undefined && first.dev === second.dev && first.ino === second.ino;
}

/**
 * Is the root directory of the process the root of its mount namespace? After pivot_root(2) it is; after chroot(2) it is not.
 * To a reader outside, `..` of a directory leads up through the mounts, and only at the root of a mount namespace does it
 * lead nowhere (path_resolution(7)).
 */
export async function isNamespaceRoot(proc: ProcSource, pid: number): Promise<boolean> {
  return sameFile(proc, `/proc/${pid}/root/.`, `/proc/${pid}/root/..`);
}

/** A file as text, trimmed; undefined when it is not there. */
export async function text(proc: ProcSource, path: string): Promise<string | undefined> {
  return unlessGone(async () => (await proc.readFile(path, 65_536)).toString('utf8').trim());
}

/** What the learner wrote in /root/answer/NAME; undefined when there is no such file, or nothing in it. */
export async function answer(proc: ProcSource, name: string): Promise<string | undefined> {
  return (await text(proc, `/root/answer/${name}`)) || undefined;
}

/**
 * The process that an earlier run of a check has found, as long as it lives and is still what was looked for; else whatever
 * `find` finds now. Held by pid and start time.
 */
export async function hold(
  probe: Probe,
  key: string,
  find: () => Promise<Process[]> | Process[],
): Promise<Process | undefined> {
  const candidates = await find();
  const held = probe.memory.get(key) as Process | undefined;
  const same = candidates.find((process) => process.pid === held?.pid && process.startTime === held.startTime);
  const chosen = same ?? candidates.at(-1);
  if (chosen) probe.memory.set(key, chosen);
  return chosen;
}

/**
 * Of the processes that a learner has made, the one that is furthest: the highest score, the newest among equals. A shell in a
 * shell, or a second try in another terminal, then counts as soon as it is better. The score of one that is gone is the lowest.
 */
export async function furthest(
  candidates: readonly Process[],
  score: (process: Process) => Promise<number>,
): Promise<Process | undefined> {
  const scores = await Promise.all(candidates.map((process) => unlessGone(() => score(process))));
  const ranked = candidates.map((process, index) => ({ process, score: scores[index] ?? -1 }));
  return ranked.sort((a, b) => b.score - a.score || b.process.startTime - a.process.startTime)[0]?.process;
}

/** A fact that is noted at the first run of a check, at the start of the attempt, and found again at later ones. */
export async function noted<T>(probe: Probe, key: string, read: () => Promise<T>): Promise<T> {
  if (!probe.memory.has(key)) probe.memory.set(key, await read());
  return probe.memory.get(key) as T;
}

/** The value, or undefined where the file or the process is not there, or has gone in the meantime. */
export async function unlessGone<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** ENOENT, ESRCH, ENOTDIR, or what inspect/ makes of them. */
export function isGone(error: unknown): boolean {
  if (error instanceof TareError) return error.code === 'not-found';
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOENT' || code === 'ESRCH' || code === 'ENOTDIR';
}

async function readProcess(proc: ProcSource, pid: number): Promise<Process | undefined> {
  const [facts, started] = await Promise.all([status(proc, pid), startTime(proc, pid)]);
  // A zombie has left its namespaces. A kernel thread may have been born since the list of them was read: it has no exe.
  if (facts.state === 'Z' || facts.state === 'X') return undefined;
  if (facts.parent === 2 && (await unlessGone(() => proc.readlink(`/proc/${pid}/exe`))) === undefined) return undefined;
  return { pid, comm: facts.name, parent: facts.parent, startTime: started };
}

/** One read instead of one for each of them; none where pid 2 is an ordinary process, in a pid namespace for instance. */
async function kernelThreads(proc: ProcSource): Promise<ReadonlySet<number>> {
  if ((await text(proc, '/proc/2/comm')) !== 'kthreadd') return new Set();
  const children = (await text(proc, '/proc/2/task/2/children')) ?? '';
  return new Set([2, ...children.split(/\s+/).filter(Boolean).map(Number)]);
}

async function ownPid(proc: ProcSource): Promise<number> {
  return Number(await proc.readlink('/proc/self'));
}
