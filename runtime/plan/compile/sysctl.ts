/**
 * Kernel parameters of the container's own namespaces, written through a proc of our own making that is attached nowhere
 * yet: the image cannot have put a fake one there, nor a link in the way (CVE-2019-16884, CVE-2025-52881). sysctl(8).
 */
import { TareError } from '../../kernel/error.js';
import type { NamespaceType } from '../../oci/index.js';
import {
  O_CLOEXEC,
  O_WRONLY,
  PROC_SUPER_MAGIC,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from './abi.js';
import { type Compilation, has } from './compilation.js';
import { newFileSystem } from './mounts.js';

/** What a namespace confines; anything else is a setting of the whole machine. */
const CONFINED: readonly [prefix: string, namespace: NamespaceType][] = [
  ['net/', 'network'],
  ['fs/mqueue/', 'ipc'],
  ['kernel/msg', 'ipc'],
  ['kernel/sem', 'ipc'],
  ['kernel/shm', 'ipc'],
  ['kernel/domainname', 'uts'],
  ['user/', 'user'],
];

export function setSysctls(compilation: Compilation): void {
  const entries = Object.entries(compilation.config.linux?.sysctl ?? {});
  if (entries.length === 0) return;
  const inside = compilation.builder.inside.for('linux.sysctl');
  const proc = newFileSystem(inside, 'proc', { attributes: 0, why: 'a proc of our own, for writing parameters' });
  inside.expect_fs({ fd: proc, magic: PROC_SUPER_MAGIC }, 'it surely is proc');
  for (const [name, value] of entries) {
    const path = pathOf(name);
    check(compilation, name, path);
    const lane = compilation.builder.inside.for(`linux.sysctl[${JSON.stringify(name)}]`);
    const fd = lane.openat2(
      {
        dir: proc,
        path: `sys/${path}`,
        flags: O_WRONLY | O_CLOEXEC,
        mode: 0,
        resolve: RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
      },
      { as: path, why: `the parameter ${name}` },
    );
    lane.write({ fd, data: Buffer.from(value) }, `${name}: ${value.trim()}`);
    lane.close({ fd }, 'written');
  }
  inside.close({ fd: proc }, 'it was never attached anywhere');
}

/** `net.ipv4.ip_forward` and `net/ipv4/ip_forward` are the same; with a slash first, dots belong to names (sysctl.d(5)). */
function pathOf(name: string): string {
  const slash = name.indexOf('/');
  const dot = name.indexOf('.');
  return slash >= 0 && (dot < 0 || slash < dot) ? name : name.replace(/[./]/g, (c) => (c === '.' ? '/' : '.'));
}

function check(compilation: Compilation, name: string, path: string): void {
  const at = `linux.sysctl[${JSON.stringify(name)}]`;
  const refuse = (why: string): never => {
    throw new TareError('config', `config.json: ${at} ${why}`, { path: at });
  };
  if (path.split('/').some((part) => part === '' || part === '..' || part === '.'))
    refuse('is not the name of a parameter');
  const namespace = CONFINED.find(([prefix]) => path.startsWith(prefix))?.[1];
  if (namespace === undefined) refuse('is a setting of the whole machine, not of a namespace');
  else if (!has(compilation, namespace)) refuse(`needs a ${namespace} namespace of the container’s own`);
}
