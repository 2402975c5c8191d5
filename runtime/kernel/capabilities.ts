/**
 * The capabilities of <linux/capability.h>, by number, and sets of them as masks: bit n is capability n (capabilities(7)).
 */
import { TareError } from './error.js';

export const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
] as const;

export type Capability = (typeof CAPABILITIES)[number];

/** The names in a mask, by number. A bit that this list does not know, of a newer kernel, is `CAP_41`. */
export function capabilityNames(mask: bigint): string[] {
  const names: string[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if ((mask >> BigInt(bit)) & 1n) names.push(CAPABILITIES[bit] ?? `CAP_${bit}`);
  }
  return names;
}

/**
 * The mask of a list of names: `CAP_CHOWN`, as config.json has them, or `chown`, as Docker's `--cap-add` takes them. `ALL` is every
 * capability that this list knows.
 * @throws TareError `config` for a name that is none.
 */
export function capabilityMask(names: readonly string[]): bigint {
  return names.reduce((mask, name) => mask | (name.toUpperCase() === 'ALL' ? ALL_CAPABILITIES : bitOf(name)), 0n);
}

/** The number of a capability. @throws TareError `config` for a name that is none. */
export function capabilityNumber(name: string): number {
  const upper = name.toUpperCase();
  const number = CAPABILITIES.indexOf((upper.startsWith('CAP_') ? upper : `CAP_${upper}`) as Capability);
  if (number < 0) throw new TareError('config', `${JSON.stringify(name)} is no capability; capabilities(7) lists them`);
  return number;
}

/** A mask as /proc/PID/status has it: `CapEff: 00000000a80425fb`. @throws TareError `protocol` for other text. */
export function parseCapabilityMask(hex: string): bigint {
  if (!/^[0-9a-f]{1,16}$/.test(hex)) throw new TareError('protocol', `${JSON.stringify(hex)} is no capability mask`);
  return BigInt(`0x${hex}`);
}

export const ALL_CAPABILITIES = (1n << BigInt(CAPABILITIES.length)) - 1n;

/**
 * What a container keeps unless told otherwise: the 14 that Docker's documentation lists ("Runtime privilege and Linux
 * capabilities").
 */
export const DEFAULT_CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SYS_CHROOT',
  'CAP_MKNOD',
  'CAP_AUDIT_WRITE',
  'CAP_SETFCAP',
] as const satisfies readonly Capability[];

function bitOf(name: string): bigint {
  return 1n << BigInt(capabilityNumber(name));
}
