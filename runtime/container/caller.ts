/** Who makes the container, as far as it decides what can be given away. proc_pid_status(5), capabilities(7). */
import { readFileSync } from 'node:fs';
import { native } from '../kernel/addon.js';
import { capabilityMask, parseCapabilityMask } from '../kernel/capabilities.js';
import { RLIMITS } from '../kernel/rlimits.js';
import { inFirstUserNamespace } from '../kernel/user-namespace.js';
import type { Caller, Limit } from '../plan/index.js';

/** This process. */
export function thisCaller(): Caller {
  const status = readFileSync('/proc/self/status', 'utf8');
  const mask = (name: string) =>
    parseCapabilityMask(new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0');
  const nested = !inFirstUserNamespace();
  // The kernel asks for it in the first user namespace: prlimit(2).
  const mayRaiseLimits = !nested && (mask('CapEff') & capabilityMask(['CAP_SYS_RESOURCE'])) !== 0n;
  const last = BigInt(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8').trim());
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    capabilities: mask('CapPrm') & mask('CapBnd'),
    nested,
    setgroupsDenied: readFileSync('/proc/self/setgroups', 'utf8').trim() === 'deny',
    allCapabilities: (1n << (last + 1n)) - 1n,
    hardLimit: (resource) => (mayRaiseLimits ? undefined : native.getrlimit(resource).hard),
    ownLimit: (resource) => native.getrlimit(resource),
    openFiles: openFilesAtStart(),
  };
}

const RLIMIT_NOFILE = RLIMITS.indexOf('RLIMIT_NOFILE');

/**
 * Node raises its soft limit of open files to the hard one before anything else, and what was there is nowhere kept. It was that of
 * the process that started us, unless that one has another hard limit: then somebody has set ours on purpose.
 */
function openFilesAtStart(): Limit | undefined {
  const own = native.getrlimit(RLIMIT_NOFILE);
  // Who started us may be in a pid namespace above ours: nsenter(1), and every engine's exec.
  if (process.ppid === 0) return undefined;
  const [, soft, hard] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(limitsOf(process.ppid)) ?? [];
  if (soft === undefined || hard === undefined || BigInt(hard) !== own.hard || BigInt(soft) >= own.soft)
    return undefined;
  return { soft: BigInt(soft), hard: own.hard };
}

/** proc_pid_limits(5). Empty when it has just ended, or /proc hides it: it is another user's, as behind sudo. proc(5), hidepid */
function limitsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/limits`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}
