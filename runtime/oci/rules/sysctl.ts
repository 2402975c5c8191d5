/**
 * The rule of `linux.sysctl`: only what a namespace of the container's own confines may be set; anything else is a setting
 * of the whole machine. namespaces(7) and the pages of each kind list what they confine; sysctl.d(5) how it is spelled.
 */
import type { NamespaceType } from '../linux.js';
import { faultIf, hasNamespace, type Rule } from './rule.js';

export const ofSysctls: Rule = (config) =>
  Object.keys(config.linux?.sysctl ?? {}).flatMap((name) => {
    const at = `linux.sysctl[${JSON.stringify(name)}]`;
    const path = sysctlPath(name);
    if (path.split('/').some((part) => part === '' || part === '..' || part === '.')) {
      return [{ path: at, message: 'is not the name of a parameter' }];
    }
    if (path === 'kernel/hostname')
      return [{ path: at, message: 'is what hostname says: only one of them can be true' }];
    const namespace = confinedBy(path);
    if (namespace === undefined)
      return [{ path: at, message: 'is a setting of the whole machine, not of a namespace' }];
    return faultIf(!hasNamespace(config, namespace), at, `needs a ${namespace} namespace of the container’s own`);
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

function confinedBy(path: string): NamespaceType | undefined {
  if (Object.hasOwn(FILES, path)) return FILES[path];
  return FOLDERS.find(([prefix]) => path.startsWith(prefix))?.[1];
}
