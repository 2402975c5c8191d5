/** Who makes the container, as far as it decides what can be given away. proc_pid_status(5), capabilities(7). */
import { readFileSync } from 'node:fs';
import { native } from '../kernel/addon.js';
import { capabilityMask, parseCapabilityMask } from '../kernel/capabilities.js';
import { inFirstUserNamespace } from '../kernel/user-namespace.js';
import type { Caller } from '../plan/index.js';

/** This process. */
export function thisCaller(): Caller {
  const status = readFileSync('/proc/self/status', 'utf8');
  const mask = (name: string) =>
    parseCapabilityMask(new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0');
  const mayRaiseLimits = (mask('CapEff') & capabilityMask(['CAP_SYS_RESOURCE'])) !== 0n;
  const last = BigInt(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8').trim());
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    capabilities: mask('CapPrm') & mask('CapBnd'),
    nested: !inFirstUserNamespace(),
    setgroupsDenied: readFileSync('/proc/self/setgroups', 'utf8').trim() === 'deny',
    allCapabilities: (1n << (last + 1n)) - 1n,
    hardLimit: (resource) => (mayRaiseLimits ? undefined : native.getrlimit(resource).hard),
  };
}
