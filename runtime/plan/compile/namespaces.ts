/**
 * Namespaces: the flags of clone3 for those that are new, setns(2) for those that are joined by path, and the id maps of a
 * user namespace, which only a process outside of it may write. namespaces(7), user_namespaces(7), clone(2).
 */
import { TareError } from '../../kernel/error.js';
import type { IdMapping, Namespace, NamespaceType } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  O_CLOEXEC,
  O_WRONLY,
} from './abi.js';
import { type Compilation, creates } from './compilation.js';

// #region flags
const FLAGS: Readonly<Record<NamespaceType, number>> = {
  mount: CLONE_NEWNS,
  pid: CLONE_NEWPID,
  network: CLONE_NEWNET,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  user: CLONE_NEWUSER,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
};

/** CLONE_NEW* of the namespaces that the first process is born into. The cgroup namespace comes later, from within the cgroup. */
export function cloneFlags({ config }: Compilation): number {
  return (config.linux?.namespaces ?? [])
    .filter((namespace) => !namespace.path && namespace.type !== 'cgroup')
    .reduce((flags, namespace) => flags | FLAGS[namespace.type], 0);
  // #endregion
}

/** @throws TareError `unsupported` for what would change the host, or needs an order of processes that does not exist yet */
export function checkNamespaces(compilation: Compilation): void {
  const { config, features } = compilation;
  const namespaces = config.linux?.namespaces ?? [];
  if (!creates(compilation, 'mount')) {
    const joins = namespaces.some((n) => n.type === 'mount');
    throw unsupported(
      'linux.namespaces',
      joins
        ? 'joins a mount namespace, which this version of Tare cannot do yet'
        : 'has no mount namespace: changing the root would change the host’s',
    );
  }
  namespaces.forEach((namespace, i) => {
    if (namespace.path && (namespace.type === 'pid' || namespace.type === 'user' || namespace.type === 'time')) {
      throw unsupported(
        `linux.namespaces[${i}].path`,
        `joins a ${namespace.type} namespace, which this version of Tare cannot do yet`,
      );
    }
    if (namespace.type === 'time' && !features.timeNamespaces) {
      throw unsupported(`linux.namespaces[${i}]`, 'asks for a time namespace, which this kernel does not have');
    }
  });
  if (creates(compilation, 'user') && namespaces.some((n) => n.path)) {
    throw unsupported(
      'linux.namespaces',
      'makes a user namespace and joins another kind by path, which this version of Tare cannot do yet',
    );
  }
}

/** Inside: joins the namespaces that are named by a path. */
export function joinNamespaces({ builder, config }: Compilation): void {
  // #region join
  config.linux?.namespaces?.forEach((namespace: Namespace, i) => {
    if (!namespace.path) return;
    const inside = builder.inside.for(`linux.namespaces[${i}].path`);
    const fd = inside.openat2(
      { dir: 'cwd', path: namespace.path, flags: O_CLOEXEC, mode: 0, resolve: 0 },
      { as: `${namespace.type} namespace`, why: `the ${namespace.type} namespace to join` },
    );
    inside.setns({ fd, flags: FLAGS[namespace.type] }, 'joined; the kernel checks that it is of this kind');
    inside.close({ fd }, 'joined');
  });
  // #endregion
}

/** Outside: says which users of the host the users of the new namespace are. Until then the container is nobody. */
export function writeIdMaps(compilation: Compilation, pid: Slot<'pid'>): void {
  const { builder, config, caller } = compilation;
  if (!creates(compilation, 'user')) return;
  const outside = builder.outside;
  if (caller.uid !== 0) {
    writeProc(
      outside.for('linux.gidMappings'),
      pid,
      'setgroups',
      'deny',
      'without it the kernel takes no gid map from a user who is not root (CVE-2014-8989)',
    );
  }
  writeProc(
    outside.for('linux.uidMappings'),
    pid,
    'uid_map',
    mapText(config.linux?.uidMappings),
    'which users of the host its users are',
  );
  writeProc(
    outside.for('linux.gidMappings'),
    pid,
    'gid_map',
    mapText(config.linux?.gidMappings),
    'which groups of the host its groups are',
  );
}

/** Outside: writes one file below /proc/PID of the container's process. */
export function writeProc(lane: LaneBuilder, pid: Slot<'pid'>, path: string, text: string, why: string): void {
  const fd = lane.open_proc({ pid, path, flags: O_WRONLY | O_CLOEXEC }, { as: path, why });
  lane.write({ fd, data: Buffer.from(text) }, `${path}: ${text.trim().replaceAll('\n', ', ')}`);
  lane.close({ fd }, 'written');
}

function mapText(mappings: readonly IdMapping[] = []): string {
  return mappings.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join('');
}

function unsupported(path: string, what: string): TareError {
  return new TareError('unsupported', `config.json: ${path} ${what}`, { path });
}
