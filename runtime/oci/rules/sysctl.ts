/**
 * Kernel parameters: how `linux.sysctl` spells them (sysctl.d(5)), and which are confined by a namespace. namespaces(7) and
 * the pages of each kind list those; all others are settings of the whole machine.
 */
import type { NamespaceType } from '../linux.js';
import { faultIf, type Rule } from './rule.js';

export const ofSysctls: Rule = (config) =>
  Object.keys(config.linux?.sysctl ?? {}).flatMap((name) => {
    const wrong = sysctlPath(name)
      .split('/')
      .some((part) => part === '' || part === '..' || part === '.');
    return faultIf(wrong, `linux.sysctl[${JSON.stringify(name)}]`, 'is not the name of a parameter');
  });

/** Below /proc/sys. `net.ipv4.ip_forward` and `net/ipv4/ip_forward` are the same; with a slash first, dots belong to names. */
export function sysctlPath(name: string): string {
  const slash = name.indexOf('/');
  const dot = name.indexOf('.');
  return slash >= 0 && (dot < 0 || slash < dot) ? name : name.replace(/[./]/g, (c) => (c === '.' ? '/' : '.'));
}

const FILES: Readonly<Record<string, NamespaceType>> = {
  'kernel/msgmax': 'ipc',
  'kernel/msgmnb': 'ipc',
  'kernel/msgmni': 'ipc',
  'kernel/sem': 'ipc',
  'kernel/shmall': 'ipc',
  'kernel/shmmax': 'ipc',
  'kernel/shmmni': 'ipc',
  'kernel/shm_rmid_forced': 'ipc',
  'kernel/domainname': 'uts',
};

const FOLDERS: readonly [prefix: string, namespace: NamespaceType][] = [
  ['net/', 'network'],
  ['fs/mqueue/', 'ipc'],
  ['user/', 'user'],
];

/** The kind of namespace that confines a parameter. */
export function confinedBy(path: string): NamespaceType | undefined {
  if (Object.hasOwn(FILES, path)) return FILES[path];
  return FOLDERS.find(([prefix]) => path.startsWith(prefix))?.[1];
}
