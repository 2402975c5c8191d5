/**
 * What an exercise may need of a machine, by name: each a probe of the kernel's own state. An exercise whose machine lacks a
 * feature is *blocked*: it says what is missing, and is never passed.
 */
import type { ProcSource } from '../inspect/proc-source.js';
import { parseMountInfo } from '../kernel/mountinfo.js';

export interface Feature {
  /** For people: what is missing when it is missing. */
  readonly what: string;
  present(proc: ProcSource): Promise<boolean>;
}

export const FEATURES: Readonly<Record<string, Feature>> = {
  'pid-namespaces': { what: 'pid namespaces (CONFIG_PID_NS)', present: (proc) => hasLink(proc, '/proc/self/ns/pid') },
  'net-namespaces': {
    what: 'network namespaces (CONFIG_NET_NS)',
    present: (proc) => hasLink(proc, '/proc/self/ns/net'),
  },
  'user-namespaces': {
    what: 'user namespaces (CONFIG_USER_NS)',
    present: (proc) => hasLink(proc, '/proc/self/ns/user'),
  },
  'time-namespaces': {
    what: 'time namespaces (CONFIG_TIME_NS, Linux 5.6)',
    present: (proc) => hasLink(proc, '/proc/self/ns/time'),
  },
  cgroup2: {
    what: 'a cgroup2 file system (CONFIG_CGROUPS)',
    present: async (proc) =>
      parseMountInfo((await proc.readFile('/proc/self/mountinfo')).toString('utf8')).some(
        (m) => m.fsType === 'cgroup2',
      ),
  },
};

/** Why this machine cannot serve, one sentence each; empty when it can. */
export async function missingFeatures(
  proc: ProcSource,
  env: { readonly features: readonly string[]; readonly kernelMin: string },
): Promise<string[]> {
  const missing: string[] = [];
  const release = (await proc.readFile('/proc/sys/kernel/osrelease')).toString('utf8').trim();
  if (older(release, env.kernelMin)) missing.push(`it needs Linux ${env.kernelMin}, and this kernel is ${release}`);
  for (const name of env.features) {
    const feature = FEATURES[name];
    if (!feature || !(await feature.present(proc))) missing.push(`this kernel has no ${feature?.what ?? name}`);
  }
  return missing;
}

function older(release: string, minimum: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [leastMajor = 0, leastMinor = 0] = minimum.split('.').map(Number);
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

async function hasLink(proc: ProcSource, path: string): Promise<boolean> {
  try {
    await proc.readlink(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
