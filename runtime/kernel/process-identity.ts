/**
 * Which process a pid is. Pids are used again; a pid together with the time at which its process started is not, within one
 * boot. proc_pid_stat(5), field 22; pidfd_open(2); proc(5), /proc/sys/kernel/random/boot_id.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { native } from './addon.js';
import { TareError } from './error.js';
import { OwnedFd } from './fd.js';
import { SIGKILL } from './signals.js';

export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since boot, as the kernel counts them. */
  readonly startTime: string;
}

/** The identity of a process that is there now; undefined when there is none, or only a zombie. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  // The name, in parentheses, may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  return state === 'Z' || state === 'X' || startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive(identity: ProcessIdentity | undefined): boolean {
  return identity !== undefined && identityOf(identity.pid)?.startTime === identity.startTime;
}

/** A pidfd of the process; undefined when it has ended. Looked at again once it is held: it cannot become another one then. */
export function openProcess(identity: ProcessIdentity): OwnedFd | undefined {
  if (!isAlive(identity)) return undefined;
  let pidfd: OwnedFd;
  try {
    pidfd = new OwnedFd(native.pidfdOpen(identity.pid));
  } catch (error) {
    if (error instanceof TareError && error.syscall?.errno === 'ESRCH') return undefined;
    throw error;
  }
  if (isAlive(identity)) return pidfd;
  pidfd.close();
  return undefined;
}

/** Sends SIGKILL, to this process and no other; nothing when it has ended. */
export function killProcess(identity: ProcessIdentity): void {
  using pidfd = openProcess(identity);
  try {
    if (pidfd) native.pidfdSendSignal(pidfd.fd, SIGKILL);
  } catch (error) {
    // It has just ended, and somebody has waited for it.
    if (!(error instanceof TareError && error.syscall?.errno === 'ESRCH')) throw error;
  }
}

/** The pid namespace in which our pids are numbers: its inode. pid_namespaces(7), namespaces(7) */
export function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
}

/** Changes with each boot of the machine. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Sends SIGKILL, and waits until it has ended. False after `waitMs`: it is stuck in the kernel, or frozen. */
export async function endProcess(identity: ProcessIdentity, waitMs: number): Promise<boolean> {
  using pidfd = openProcess(identity);
  if (!pidfd) return true;
  killProcess(identity);
  return await new Promise<boolean>((resolve) => {
    const done = (ended: boolean) => {
      clearTimeout(timer);
      watcher.close();
      resolve(ended);
    };
    const watcher = native.watch(pidfd.fd, 1, () => done(true));
    const timer = setTimeout(done, waitMs, false);
  });
}

/** Resolves when a process that is not our child has ended. */
export async function processEnd(identity: ProcessIdentity): Promise<void> {
  using pidfd = openProcess(identity);
  if (!pidfd) return;
  await new Promise<void>((resolve) => {
    const watcher = native.watch(pidfd.fd, 1, () => {
      watcher.close();
      resolve();
    });
  });
}
