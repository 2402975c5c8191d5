/**
 * How contained a process is: each thing that could separate it from the machine, graded. `contained` is separated,
 * `partly` separated with a gap worth knowing, `open` not separated at all. A grade is about the fact only: a process that
 * shares the network on purpose is `open` there all the same.
 */
import { DEFAULT_CAPABILITIES } from '../kernel/capabilities.js';
import type { MountInfo } from '../kernel/mountinfo.js';
import { NAMESPACE_TYPES, type NamespaceType } from './namespaces.js';
import type { ProcessFacts } from './process.js';

export type Grade = 'contained' | 'partly' | 'open';

export interface Finding {
  /** What it is about: `pid namespace`, `capabilities`. */
  readonly area: string;
  readonly grade: Grade;
  /** One sentence. */
  readonly text: string;
}

export interface Containment {
  /** `host`: nothing but the usual rights of a user; `container`: own files, processes and rights; `partial`: between; `ended`: a zombie. */
  readonly verdict: 'host' | 'partial' | 'container' | 'ended';
  readonly summary: string;
  readonly findings: readonly Finding[];
}

/** Judges what {@link ProcessFacts} say. Reads nothing. */
export function containment(facts: ProcessFacts): Containment {
  // A zombie has left all it had: what is left of it says nothing of what it was.
  if (facts.state === 'Z' || facts.state === 'X')
    return { verdict: 'ended', summary: 'it has ended, and waits for its parent to reap it', findings: [] };
  const findings = [
    ...namespaces(facts),
    rootDirectory(facts),
    ...exposedMounts(facts),
    identity(facts),
    capabilities(facts),
    seccomp(facts),
    finding(
      'no_new_privs',
      facts.noNewPrivs,
      'set-uid programs give it no new rights',
      'set-uid programs can give it new rights',
    ),
    limit('memory', facts.limits.memory?.effective, (bytes) => `at most ${Math.round(bytes / 1024)} KiB`),
    limit('processes', facts.limits.pids?.effective, (tasks) => `at most ${tasks} tasks`),
    limit('cpu', facts.limits.cpu?.effective, (cpus) => `at most ${cpus} CPUs`),
  ];
  return { ...verdict(facts), findings };
}

function verdict(facts: ProcessFacts): Pick<Containment, 'verdict' | 'summary'> {
  const own = NAMESPACE_TYPES.filter((type) => sharing(facts, type) === false);
  const known = NAMESPACE_TYPES.some((type) => sharing(facts, type) !== null);
  const ownFiles = rootShared(facts) === false || own.includes('mnt');
  const list = own.join(', ');
  if (!known) return { verdict: 'partial', summary: 'its namespaces cannot be compared with those of the machine' };
  if (own.length === 0 && !ownFiles)
    return {
      verdict: 'host',
      summary: 'it shares every namespace with the machine: a process like any other',
    };
  if (own.includes('mnt') && own.includes('pid') && rootShared(facts) === false) {
    return { verdict: 'container', summary: `it has a root directory of its own, and its own ${list} namespaces` };
  }
  const what = own.length
    ? `it has its own ${list} namespace${own.length > 1 ? 's' : ''}`
    : 'it has a root directory of its own';
  return { verdict: 'partial', summary: `${what}, and shares the rest with the machine` };
}

/** null where either inode is unknown. */
function sharing(facts: ProcessFacts, type: NamespaceType): boolean | null {
  const [own, theirs] = [facts.namespaces[type], facts.machine.namespaces[type]];
  return own === undefined || theirs === undefined ? null : own === theirs;
}

function rootShared({ root, machine }: ProcessFacts): boolean | null {
  return root && machine.root ? root.dev === machine.root.dev && root.ino === machine.root.ino : null;
}

const SHARED_MEANS: Record<NamespaceType, string> = {
  cgroup: 'it sees where the machine puts its cgroups',
  ipc: 'it reaches System V IPC and message queues of the machine',
  mnt: 'what it mounts, the machine sees',
  net: 'it uses the network devices, ports and abstract sockets of the machine',
  pid: 'it sees the processes of the machine',
  time: 'it reads the clocks of the machine',
  user: 'its uids are those of the machine',
  uts: 'it has the host name of the machine',
};

function namespaces(facts: ProcessFacts): Finding[] {
  return NAMESPACE_TYPES.flatMap((type) => {
    const shared = sharing(facts, type);
    if (shared === null) return [];
    return [finding(`${type} namespace`, !shared, 'its own', `shared: ${SHARED_MEANS[type]}`)];
  });
}

function rootDirectory(facts: ProcessFacts): Finding {
  const area = 'root directory';
  if (rootShared(facts) === null)
    return { area, grade: 'partly', text: 'it cannot be compared with that of the machine' };
  if (rootShared(facts)) return { area, grade: 'open', text: 'that of the machine: it sees all files' };
  if (sharing(facts, 'mnt') === true) {
    return {
      area,
      grade: 'partly',
      text: 'its own by chroot in the mount namespace of the machine, from which root can get out',
    };
  }
  return { area, grade: 'contained', text: 'its own' };
}

/** Mounts by which a process with its own root still reaches the machine. */
function exposedMounts(facts: ProcessFacts): Finding[] {
  if (rootShared(facts) !== false) return [];
  // The topmost mount at a place is the one that is seen.
  const seen = new Map(facts.mounts.map((mount) => [mount.mountPoint, mount]));
  const writable = (mount: MountInfo | undefined) => mount !== undefined && !mount.options.includes('ro');
  const found: Finding[] = [];
  const gap = (grade: Grade, text: string) => found.push({ area: 'mounts', grade, text });
  for (const mount of seen.values()) {
    if (/\/(docker|containerd|podman|crio|tare)\.sock$/.test(mount.root)) {
      gap('open', `${mount.mountPoint} is the socket of a container engine: whoever reaches it is root of the machine`);
    }
    if (mount.fsType === 'devtmpfs') gap('open', `${mount.mountPoint} holds the devices of the machine`);
    if (['cgroup', 'cgroup2'].includes(mount.fsType) && writable(mount) && sharing(facts, 'user') === true) {
      gap('partly', `${mount.mountPoint} (${mount.fsType}) can be written`);
    }
    if (mount.fsType === 'sysfs' && writable(mount)) gap('partly', `${mount.mountPoint} (sysfs) can be written`);
    if (mount.shared !== undefined) gap('partly', `mounts at ${mount.mountPoint} propagate to other mount namespaces`);
    if (mount.fsType === 'proc' && writable(mount) && sharing(facts, 'user') === true) {
      const at = mount.mountPoint === '/' ? '' : mount.mountPoint;
      if (!seen.has(`${at}/sys`)) gap('partly', `${at}/sys can be written: settings of the whole kernel`);
    }
  }
  return found;
}

function identity(facts: ProcessFacts): Finding {
  const area = 'user';
  const uid = facts.uids.effective;
  if (sharing(facts, 'user') === false) {
    const inside = facts.uidMap.find((m) => uid >= m.outside && uid < m.outside + m.length);
    const as = inside ? `uid ${inside.inside + uid - inside.outside} inside` : 'a uid that is not mapped inside';
    return uid === 0
      ? { area, grade: 'partly', text: `${as} is root (uid 0) of the machine` }
      : { area, grade: 'contained', text: `${as} is uid ${uid} of the machine` };
  }
  return uid === 0
    ? { area, grade: 'open', text: 'uid 0: root of the machine, less what capabilities and seccomp take away' }
    : { area, grade: 'partly', text: `uid ${uid} of the machine` };
}

/** The common notion of an ordinary container. */
const USUAL = new Set<string>(DEFAULT_CAPABILITIES);

function capabilities(facts: ProcessFacts): Finding {
  const area = 'capabilities';
  const { effective, permitted, bounding, ambient, inheritable } = facts.capabilities;
  const held = [...new Set([...effective, ...permitted, ...ambient, ...inheritable])];
  const unusual = held.filter((name) => !USUAL.has(name));
  const inside = sharing(facts, 'user') === false ? ' (within its own user namespace)' : '';
  if (held.length === 0) {
    // Without no_new_privs a set-uid program can still win what the bounding set leaves.
    const more = bounding.length && !facts.noNewPrivs ? `; a set-uid program can win ${bounding.length}` : '';
    return { area, grade: 'contained', text: `none${more}` };
  }
  if (unusual.length === 0)
    return { area, grade: 'contained', text: `${held.length}, none beyond Docker’s default${inside}` };
  if (inside) return { area, grade: 'partly', text: `${held.length}${inside}` };
  const all =
    unusual.includes('CAP_SYS_ADMIN') || unusual.includes('CAP_SYS_MODULE') || unusual.includes('CAP_SYS_PTRACE');
  return {
    area,
    grade: all ? 'open' : 'partly',
    text: `${held.length}; beyond Docker’s default: ${unusual.join(' ')}`,
  };
}

function seccomp(facts: ProcessFacts): Finding {
  const { mode, filters } = facts.seccomp;
  const text =
    mode === 'filter' ? `${filters} filter${filters === 1 ? '' : 's'}` : 'only read, write, exit and sigreturn';
  return finding('seccomp', mode !== 'none', text, 'none: it can make every system call');
}

function limit(area: string, value: number | null | undefined, show: (value: number) => string): Finding {
  if (value === undefined) return { area, grade: 'open', text: 'no cgroup controller in sight limits it' };
  return value === null ? { area, grade: 'open', text: 'unlimited' } : { area, grade: 'contained', text: show(value) };
}

function finding(area: string, good: boolean, contained: string, open: string): Finding {
  return good ? { area, grade: 'contained', text: contained } : { area, grade: 'open', text: open };
}
