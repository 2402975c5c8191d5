/**
 * The kinds of namespaces: as config.json names them, with the flag that makes or joins one, and their file in
 * /proc/PID/ns. namespaces(7); runtime-spec: config-linux.md, Namespaces.
 */
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from './constants/clone.js';
import { TareError } from './error.js';

export interface NamespaceKind {
  /** In config.json. */
  readonly type: string;
  readonly flag: number;
  /** Its name in /proc/PID/ns, and in the link's text: `mnt:[4026531841]`. */
  readonly proc: string;
  /**
   * Where the next children's namespace stands, in /proc/PID/ns: a process never changes its own pid or time namespace, only that of
   * the children to come.
   */
  readonly forChildren?: string;
  /** What it isolates. */
  readonly what: string;
}

export const NAMESPACES = [
  { type: 'user', flag: CLONE_NEWUSER, proc: 'user', what: 'user and group ids, capabilities' },
  { type: 'mount', flag: CLONE_NEWNS, proc: 'mnt', what: 'mounts' },
  { type: 'pid', flag: CLONE_NEWPID, proc: 'pid', forChildren: 'pid_for_children', what: 'process ids' },
  { type: 'network', flag: CLONE_NEWNET, proc: 'net', what: 'network devices, addresses, ports, routes' },
  { type: 'uts', flag: CLONE_NEWUTS, proc: 'uts', what: 'host name and domain name' },
  { type: 'ipc', flag: CLONE_NEWIPC, proc: 'ipc', what: 'System V IPC, POSIX message queues' },
  { type: 'cgroup', flag: CLONE_NEWCGROUP, proc: 'cgroup', what: 'the root of the cgroups that are seen' },
  {
    type: 'time',
    flag: CLONE_NEWTIME,
    proc: 'time',
    forChildren: 'time_for_children',
    what: 'boot and monotonic clocks',
  },
] as const satisfies readonly NamespaceKind[];

export type NamespaceType = (typeof NAMESPACES)[number]['type'];

/** @throws TareError `config` for a type that is none. */
export function namespaceKind(type: string): NamespaceKind {
  const kind = NAMESPACES.find((candidate) => candidate.type === type);
  if (!kind) {
    const known = NAMESPACES.map((candidate) => candidate.type).join(', ');
    throw new TareError('config', `${JSON.stringify(type)} is no type of namespace; there are ${known}`);
  }
  return kind;
}
