/**
 * /proc/PID/status and /proc/PID/stat: who a process is and what it may do (proc_pid_status(5), proc_pid_stat(5)).
 * Capability sets stay masks here; `process.ts` gives them their names.
 */
import { parseCapabilityMask } from '../kernel/capabilities.js';
import type { ProcSource } from './proc-source.js';
import { malformed, parseNumber, readText } from './read.js';

/** Of /proc/PID/status what says who a process is and what it may do. */
export interface ProcessStatus {
  readonly name: string;
  /** R running, S sleeping, D uninterruptible, T stopped, t traced, Z zombie, X dead, I idle. */
  readonly state: string;
  readonly tgid: number;
  readonly pid: number;
  readonly parent: number;
  /** The process that traces it with ptrace(2), or 0. */
  readonly tracer: number;
  readonly uids: Ids;
  readonly gids: Ids;
  readonly groups: readonly number[];
  /** Its pid in each pid namespace, from the reader's inwards. */
  readonly nsPids: readonly number[];
  readonly threads: number;
  readonly capabilities: CapabilityMasks;
  readonly noNewPrivs: boolean;
  readonly seccomp: 'none' | 'strict' | 'filter';
  /** Filters attached, each called for each system call. Known since Linux 5.10; before, 0 or 1. */
  readonly seccompFilters: number;
}

export interface Ids {
  readonly real: number;
  readonly effective: number;
  readonly saved: number;
  readonly filesystem: number;
}

/** Bit n is capability n of <linux/capability.h>. */
export interface CapabilityMasks {
  readonly inheritable: bigint;
  readonly permitted: bigint;
  readonly effective: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
}

/** Reads /proc/PID/status. @throws TareError `not-found`, `permission`, `protocol`. */
export async function status(source: ProcSource, pid: number): Promise<ProcessStatus> {
  return parseStatus(await readText(source, pid, 'status'));
}

/**
 * When the process was started, in clock ticks after boot: with the pid it names a process for good, since pids are used
 * again. @throws TareError `not-found`, `protocol`.
 */
export async function startTime(source: ProcSource, pid: number): Promise<number> {
  return (await stat(source, pid)).startTime;
}

/** Reads /proc/PID/stat. @throws TareError `not-found`, `protocol`. */
export async function stat(source: ProcSource, pid: number): Promise<ProcessStat> {
  return parseStat(await readText(source, pid, 'stat', 8192));
}

/** The text of such a file. @throws TareError `protocol` where a field is missing, or is not what it must be */
export function parseStatus(text: string): ProcessStatus {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    // The first of a name wins; the kernel escapes newlines in Name, so no process can forge a field of its own.
    if (colon > 0 && !fields.has(line.slice(0, colon))) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const get = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined) throw malformed(`/proc/PID/status (${name})`, text);
    return value;
  };
  const number = (name: string): number => parseNumber(get(name), `/proc/PID/status (${name})`);
  const numbers = (name: string, value: string): number[] =>
    value
      .split(/\s+/)
      .filter(Boolean)
      .map((word) => parseNumber(word, `/proc/PID/status (${name})`));
  const mask = (name: string): bigint => parseCapabilityMask(get(name));
  const mode = fields.has('Seccomp') ? number('Seccomp') : 0;
  return {
    name: get('Name'),
    state: get('State').slice(0, 1),
    tgid: number('Tgid'),
    pid: number('Pid'),
    parent: number('PPid'),
    tracer: number('TracerPid'),
    uids: ids(numbers('Uid', get('Uid'))),
    gids: ids(numbers('Gid', get('Gid'))),
    groups: numbers('Groups', get('Groups')),
    nsPids: fields.has('NSpid') ? numbers('NSpid', get('NSpid')) : [number('Pid')],
    threads: number('Threads'),
    capabilities: {
      inheritable: mask('CapInh'),
      permitted: mask('CapPrm'),
      effective: mask('CapEff'),
      bounding: mask('CapBnd'),
      ambient: fields.has('CapAmb') ? mask('CapAmb') : 0n,
    },
    noNewPrivs: fields.has('NoNewPrivs') && number('NoNewPrivs') === 1,
    seccomp: mode === 2 ? 'filter' : mode === 1 ? 'strict' : 'none',
    seccompFilters: fields.has('Seccomp_filters') ? number('Seccomp_filters') : mode === 2 ? 1 : 0,
  };
}

export interface ProcessStat {
  readonly pid: number;
  readonly comm: string;
  readonly state: string;
  readonly parent: number;
  readonly processGroup: number;
  readonly session: number;
  /** Device number of the controlling terminal, or 0. */
  readonly terminal: number;
  readonly startTime: number;
}

/** The name may hold spaces and parentheses of its own: it ends at the last one. */
export function parseStat(text: string): ProcessStat {
  const open = text.indexOf(' (');
  const close = text.lastIndexOf(') ');
  if (open === -1 || close < open) throw malformed('/proc/PID/stat', text);
  const rest = text.slice(close + 2).split(' ');
  const number = (index: number): number => parseNumber(rest[index]?.trim(), '/proc/PID/stat');
  return {
    pid: parseNumber(text.slice(0, open), '/proc/PID/stat'),
    comm: text.slice(open + 2, close),
    state: rest[0] ?? '',
    parent: number(1),
    processGroup: number(2),
    session: number(3),
    terminal: number(4),
    startTime: number(19),
  };
}

function ids(list: readonly number[]): Ids {
  const [real, effective, saved, filesystem] = list;
  if (real === undefined || effective === undefined || saved === undefined || filesystem === undefined) {
    throw malformed('/proc/PID/status (Uid, Gid)', list.join(' '));
  }
  return { real, effective, saved, filesystem };
}
