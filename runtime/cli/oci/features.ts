/**
 * `tare-oci features`: what this runtime recognises, whatever the machine can do. Each list is the table that the runtime works
 * with. runtime-spec, features.md, features-linux.md.
 */
import { release } from 'node:os';
import { Command } from 'commander';
import { CAPABILITIES } from '../../kernel/capabilities.js';
import { atLeast } from '../../kernel/features.js';
import { ACTION_NAMES, ARCHITECTURE_NAMES, FLAG_NAMES, OPERATOR_NAMES } from '../../kernel/seccomp/index.js';
import {
  ANNOTATIONS,
  HOOK_NAMES,
  MEMORY_POLICY_FLAGS,
  MEMORY_POLICY_MODES,
  NAMESPACE_TYPES,
  OCI_VERSION,
} from '../../oci/index.js';
import { KNOWN_OPTIONS } from '../../plan/compile/options.js';
import { print } from '../print.js';

export function featuresCommand(): Command {
  return new Command('features').action(() => print(`${JSON.stringify(features(), null, 4)}\n`));
}

/** @param kernel `uname -r`: of flags alone the specification asks whether they work here */
export function features(kernel = release()) {
  return {
    ociVersionMin: '1.0.0',
    ociVersionMax: OCI_VERSION,
    hooks: HOOK_NAMES,
    mountOptions: KNOWN_OPTIONS,
    linux: {
      namespaces: NAMESPACE_TYPES,
      capabilities: CAPABILITIES,
      cgroup: {
        v1: true,
        v2: true,
        systemd: true,
        systemdUser: true,
        rdma: true,
      },
      seccomp: {
        enabled: true,
        actions: ACTION_NAMES,
        operators: OPERATOR_NAMES,
        archs: ARCHITECTURE_NAMES,
        knownFlags: FLAG_NAMES,
        supportedFlags: FLAG_NAMES.filter((name) => atLeast(kernel, ...(FLAG_SINCE[name] ?? [0, 0]))),
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: true, schemata: true, monitoring: true },
      memoryPolicy: { modes: MEMORY_POLICY_MODES, flags: MEMORY_POLICY_FLAGS },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: true },
    },
    potentiallyUnsafeConfigAnnotations: ANNOTATIONS,
  };
}

/** Newer than the oldest kernel that Tare runs on. seccomp(2). */
const FLAG_SINCE: Readonly<Record<string, [major: number, minor: number]>> = {
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: [5, 19],
};
