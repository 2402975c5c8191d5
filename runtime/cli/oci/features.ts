/**
 * `tare-oci features`: what this runtime recognises, whatever the machine can do. Each list is the table that the runtime works
 * with, and each yes or no is asked of `unsupported`, which refuses bundles. runtime-spec, features.md, features-linux.md.
 */
import { release } from 'node:os';
import { Command } from 'commander';
import { CAPABILITIES } from '../../kernel/capabilities.js';
import { atLeast } from '../../kernel/features.js';
import { ACTION_NAMES, ARCHITECTURE_NAMES, FLAG_NAMES, OPERATOR_NAMES } from '../../kernel/seccomp/index.js';
import {
  ANNOTATIONS,
  type Config,
  HOOK_NAMES,
  type Linux,
  MEMORY_POLICY_FLAGS,
  MEMORY_POLICY_MODES,
  NAMESPACE_TYPES,
  OCI_VERSION,
  type Process,
  supports,
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
    hooks: HOOK_NAMES.filter((name) => supports({ hooks: { [name]: [{ path: '/bin/true' }] } })),
    mountOptions: KNOWN_OPTIONS,
    linux: {
      namespaces: NAMESPACE_TYPES,
      capabilities: CAPABILITIES,
      cgroup: {
        v1: true,
        v2: true,
        // Nothing here asks systemd: a cgroupsPath of its form is refused (kernel/cgroup/path.ts).
        systemd: false,
        systemdUser: false,
        rdma: can({ resources: { rdma: { any: { hcaHandles: 1 } } } }),
      },
      seccomp: {
        enabled: true,
        actions: ACTION_NAMES,
        operators: OPERATOR_NAMES,
        archs: ARCHITECTURE_NAMES,
        knownFlags: FLAG_NAMES,
        supportedFlags: FLAG_NAMES.filter((name) => atLeast(kernel, ...(FLAG_SINCE[name] ?? [0, 0]))),
      },
      apparmor: { enabled: processCan({ apparmorProfile: 'any' }) },
      selinux: { enabled: processCan({ selinuxLabel: 'any' }) },
      intelRdt: {
        enabled: can({ intelRdt: { closID: 'any' } }),
        schemata: can({ intelRdt: { schemata: ['MB:0=50'] } }),
        monitoring: can({ intelRdt: { enableMonitoring: true } }),
      },
      memoryPolicy: can({ memoryPolicy: { mode: 'MPOL_LOCAL' } })
        ? { modes: MEMORY_POLICY_MODES, flags: MEMORY_POLICY_FLAGS }
        : { modes: [], flags: [] },
      mountExtensions: { idmap: { enabled: supports({ mounts: [IDMAPPED] }) } },
      netDevices: { enabled: can({ netDevices: { eth0: {} } }) },
    },
    potentiallyUnsafeConfigAnnotations: ANNOTATIONS,
  };
}

/** Newer than the oldest kernel that Tare runs on. seccomp(2). */
const FLAG_SINCE: Readonly<Record<string, [major: number, minor: number]>> = {
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: [5, 19],
};

const ONE = [{ containerID: 0, hostID: 1, size: 1 }];
const IDMAPPED = {
  destination: '/any',
  source: '/any',
  options: ['bind', 'idmap'],
  uidMappings: ONE,
  gidMappings: ONE,
};

function can(linux: Linux): boolean {
  return supports({ linux });
}

function processCan(asked: Partial<Process>): boolean {
  const process: NonNullable<Config['process']> = { cwd: '/', user: { uid: 0, gid: 0 }, ...asked };
  return supports({ process });
}
