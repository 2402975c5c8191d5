/**
 * Where the kernel shows the namespaces of a process: config.json calls some of them by other names than /proc does. proc_pid_ns(5).
 */
import type { NamespaceType } from '../oci/index.js';

/** In the folder of a process in /proc: `ns/net`. */
export function namespaceLink(type: NamespaceType): string {
  return `ns/${LINKS[type]}`;
}

export const LINKS: Readonly<Record<NamespaceType, string>> = {
  mount: 'mnt',
  pid: 'pid',
  network: 'net',
  ipc: 'ipc',
  uts: 'uts',
  user: 'user',
  cgroup: 'cgroup',
  time: 'time',
};
