/**
 * All that the kernel says about one process, read from outside in one go: `tare inspect`, the X-ray of the lab and the
 * view that `tare step` compares after each step. Plain data, ready for JSON. The pid is held by its start time: when another
 * process has taken the number meanwhile, the answer is an error, never a mixture of the two.
 */
import { capabilityNames } from '../kernel/capabilities.js';
import { TareError } from '../kernel/error.js';
import type { MountInfo } from '../kernel/mountinfo.js';
import { type CgroupFacts, type CgroupLimits, cgroups, readLimits } from './cgroups.js';
import * as details from './details.js';
import { type MachineView, machineView } from './machine-view.js';
import { type NamespaceInodes, namespaceInode, namespaceInodes } from './namespaces.js';
import type { ProcSource } from './proc-source.js';
import { unlessRefused } from './read.js';
import { type Ids, stat, status } from './status.js';

export interface ProcessFacts {
  readonly pid: number;
  /** Clock ticks after boot. */
  readonly startTime: number;
  readonly parent: number;
  /** The process's own short name, at most 15 bytes. */
  readonly comm: string;
  readonly exe: string | null;
  readonly cmdline: readonly string[];
  readonly state: string;
  readonly threads: number;
  readonly session: number;
  readonly processGroup: number;
  /** Its pid in each pid namespace, from the reader's inwards. */
  readonly nsPids: readonly number[];
  readonly namespaces: NamespaceInodes;
  readonly root: details.Place | null;
  /** What the process is compared with: whatever is equal is shared with the machine. */
  readonly machine: MachineView;
  readonly cwd: details.Place | null;
  readonly mounts: readonly MountInfo[];
  readonly cgroups: readonly CgroupFacts[];
  readonly limits: CgroupLimits;
  /** Names, as `CAP_SYS_ADMIN`. */
  readonly capabilities: CapabilityNames;
  readonly seccomp: { readonly mode: 'none' | 'strict' | 'filter'; readonly filters: number };
  readonly noNewPrivs: boolean;
  readonly uids: Ids;
  readonly gids: Ids;
  readonly groups: readonly number[];
  readonly uidMap: readonly details.IdMapping[];
  readonly gidMap: readonly details.IdMapping[];
  readonly resourceLimits: Readonly<Record<string, details.ResourceLimit>>;
  readonly oom: { readonly score: number; readonly adjust: number } | null;
  readonly label: string | null;
  readonly descriptors: number | null;
  /** What the kernel did not let the reader see: such facts are null or empty above. */
  readonly unreadable: readonly string[];
}

export interface CapabilityNames {
  readonly inheritable: readonly string[];
  readonly permitted: readonly string[];
  readonly effective: readonly string[];
  readonly bounding: readonly string[];
  readonly ambient: readonly string[];
}

/**
 * Reads everything about a process.
 *
 * @throws TareError `not-found` when it does not exist or ends meanwhile, `permission` when its namespaces may not be seen,
 *   `protocol` when /proc says what no kernel says, `usage` for what is no pid.
 */
export async function inspectProcess(source: ProcSource, pid: number): Promise<ProcessFacts> {
  const before = await stat(source, pid);
  const unreadable: string[] = [];
  const optional = async <T>(what: string, fallback: T, read: Promise<T>): Promise<T> => {
    const value = await unlessRefused(read.then((fact) => ({ fact })));
    if (value) return value.fact;
    unreadable.push(what);
    return fallback;
  };

  const reads = {
    status: status(source, pid),
    // One link by itself: whoever may not read it gets one sentence, not a list of gaps. A zombie keeps only this one.
    user: namespaceInode(source, pid, 'user'),
    namespaces: namespaceInodes(source, pid),
    machine: machineView(source),
    root: optional('root', null, details.root(source, pid)),
    cwd: optional('cwd', null, details.cwd(source, pid)),
    exe: optional('exe', null, details.exe(source, pid)),
    cmdline: optional('cmdline', [], details.cmdline(source, pid)),
    mounts: optional('mountinfo', [], details.mountInfo(source, pid)),
    cgroups: optional('cgroup', [], cgroups(source, pid)),
    uidMap: optional('uid_map', [], details.uidMap(source, pid)),
    gidMap: optional('gid_map', [], details.gidMap(source, pid)),
    resourceLimits: optional('limits', {}, details.resourceLimits(source, pid)),
    oom: optional('oom_score', null, details.oomScore(source, pid)),
    label: optional('attr/current', null, details.securityLabel(source, pid)),
    descriptors: optional('fd', null, details.descriptorCount(source, pid)),
  };
  const facts = await all(reads);
  const limits = await readLimits(source, facts.cgroups);
  const after = await stat(source, pid);
  if (after.startTime !== before.startTime) throw gone(pid);

  const { capabilities, uids, gids, groups, nsPids, threads } = facts.status;
  return {
    pid,
    startTime: after.startTime,
    parent: after.parent,
    comm: after.comm,
    exe: facts.exe,
    cmdline: facts.cmdline,
    state: after.state,
    threads,
    session: after.session,
    processGroup: after.processGroup,
    nsPids,
    namespaces: facts.namespaces,
    root: facts.root,
    machine: facts.machine,
    cwd: facts.cwd,
    mounts: facts.mounts,
    cgroups: facts.cgroups,
    limits,
    capabilities: {
      inheritable: capabilityNames(capabilities.inheritable),
      permitted: capabilityNames(capabilities.permitted),
      effective: capabilityNames(capabilities.effective),
      bounding: capabilityNames(capabilities.bounding),
      ambient: capabilityNames(capabilities.ambient),
    },
    seccomp: { mode: facts.status.seccomp, filters: facts.status.seccompFilters },
    noNewPrivs: facts.status.noNewPrivs,
    uids,
    gids,
    groups,
    uidMap: facts.uidMap,
    gidMap: facts.gidMap,
    resourceLimits: facts.resourceLimits,
    oom: facts.oom,
    label: facts.label,
    descriptors: facts.descriptors,
    unreadable,
  };
}

/** Awaits each member. The first failure is the answer; none of the others is left unhandled. */
async function all<T extends Record<string, Promise<unknown>>>(reads: T): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const values = await Promise.all(Object.entries(reads).map(async ([name, read]) => [name, await read] as const));
  return Object.fromEntries(values) as { [K in keyof T]: Awaited<T[K]> };
}

function gone(pid: number): TareError {
  return new TareError('not-found', `process ${pid} ended while it was looked at, and another has taken its number`);
}
