/**
 * Finding processes: every numeric name in /proc, asked a question each. Processes come and go while we look; those that
 * go are simply not in the answer.
 */
import { TareError } from '../kernel/error.js';
import { cmdline } from './details.js';
import type { ProcSource } from './proc-source.js';
import { type ProcessStatus, startTime, status } from './status.js';

export interface FoundProcess {
  readonly pid: number;
  readonly startTime: number;
  readonly status: ProcessStatus;
  readonly cmdline: readonly string[];
}

/** More processes than one look takes; a hostile guest may list any number. */
const MAX_PROCESSES = 65_536;
const AT_ONCE = 32;

/** All process ids that the reader sees, lowest first. */
export async function processIds(source: ProcSource): Promise<number[]> {
  const names = (await source.readdir('/proc')).filter((name) => /^[1-9]\d{0,6}$/.test(name));
  if (names.length > MAX_PROCESSES) throw new TareError('protocol', `/proc lists more than ${MAX_PROCESSES} processes`);
  return names.map(Number).sort((a, b) => a - b);
}

/** The processes for which `wanted` answers true, lowest pid first. A process that vanishes meanwhile is left out. */
export async function findProcesses(
  source: ProcSource,
  wanted: (process: FoundProcess) => boolean | Promise<boolean>,
): Promise<FoundProcess[]> {
  const found: FoundProcess[] = [];
  const ids = await processIds(source);
  for (let i = 0; i < ids.length; i += AT_ONCE) {
    const batch = await Promise.all(ids.slice(i, i + AT_ONCE).map((pid) => look(source, pid, wanted)));
    found.push(...batch.filter((process) => process !== null));
  }
  return found;
}

/** The children of a process, lowest pid first; of its threads too. */
export async function childrenOf(source: ProcSource, pid: number): Promise<FoundProcess[]> {
  return findProcesses(source, (process) => process.status.parent === pid);
}

/** Whether the process still is the one that was started then. */
export async function isAlive(source: ProcSource, pid: number, started: number): Promise<boolean> {
  try {
    const now = await status(source, pid);
    return now.state !== 'Z' && now.state !== 'X' && (await startTime(source, pid)) === started;
  } catch (error) {
    if (error instanceof TareError && error.code === 'not-found') return false;
    throw error;
  }
}

async function look(
  source: ProcSource,
  pid: number,
  wanted: (process: FoundProcess) => boolean | Promise<boolean>,
): Promise<FoundProcess | null> {
  try {
    const [started, facts, args] = await Promise.all([
      startTime(source, pid),
      status(source, pid),
      cmdline(source, pid),
    ]);
    const process = { pid, startTime: started, status: facts, cmdline: args };
    return (await wanted(process)) ? process : null;
  } catch (error) {
    if (error instanceof TareError && (error.code === 'not-found' || error.code === 'permission')) return null;
    throw error;
  }
}
