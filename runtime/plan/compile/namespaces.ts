/**
 * Namespaces: the flags of clone3 for those that are new, setns(2) for those that are joined by path, and the id maps of a
 * user namespace, which only a process outside of it may write. namespaces(7), user_namespaces(7), clone(2).
 */
import { TareError } from '../../kernel/error.js';
import type { IdMapping, NamespaceType } from '../../oci/index.js';
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
import { type Compilation, creates, has, joins } from './compilation.js';
import { overlayBefore } from './overlay-root.js';
import { hasTimeOffsets } from './time-offsets.js';

// #region flags
export const NAMESPACE_FLAGS: Readonly<Record<NamespaceType, number>> = {
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
    .reduce((flags, namespace) => flags | NAMESPACE_FLAGS[namespace.type], 0);
  // #endregion
}

/** Joined by a process in between, because the joining comes true for the children only, or must come before or after a user namespace. */
export function needsBridge(compilation: Compilation): boolean {
  return joins(compilation, 'pid') || hasTimeOffsets(compilation) || changesUserInBridge(compilation);
}

/** The bridge enters a user namespace, so it has lost the rights over what belongs to the one outside. */
export function changesUserInBridge(compilation: Compilation): boolean {
  if (joins(compilation, 'user')) return true;
  if (!creates(compilation, 'user')) return false;
  return hasTimeOffsets(compilation) || named(compilation).length > 0 || overlayBefore(compilation);
}

export interface NamedNamespace {
  readonly type: NamespaceType;
  readonly path: string;
  /** Its place in linux.namespaces. */
  readonly index: number;
}

/** Those to join, without those in which the caller is; the mount namespace last, as it changes what the other paths mean. */
export function named(compilation: Compilation): NamedNamespace[] {
  const { config, joined } = compilation;
  return (config.linux?.namespaces ?? [])
    .map(({ type, path = '' }, index) => ({ type, path, index }))
    .filter(({ type, path }) => path !== '' && !joined?.own.has(type))
    .sort((a, b) => Number(a.type === 'mount') - Number(b.type === 'mount'));
}

/** @throws TareError `unsupported` for what this kernel does not have, or what would change the host */
export function checkNamespaces(compilation: Compilation): void {
  const { config, features } = compilation;
  config.linux?.namespaces?.forEach(({ type }, i) => {
    if (type === 'time' && !features.timeNamespaces) {
      throw unsupported(`linux.namespaces[${i}]`, 'asks for a time namespace, which this kernel does not have');
    }
  });
  for (const { type, index } of named(compilation)) {
    if (compilation.caller.uid === 0 || type === 'user' || compilation.joined?.ofJoinedUser.has(type)) continue;
    const path = `linux.namespaces[${index}].path`;
    const why = 'only root may join it, as it does not belong to the user namespace that the container joins';
    throw new TareError('permission', `config.json: ${path}: ${why}`, { path });
  }
  if (!has(compilation, 'mount') && has(compilation, 'user')) {
    throw unsupported(
      'linux.namespaces',
      'has a user namespace and no mount namespace: nothing could be mounted, as the mounts belong to the host',
    );
  }
}

/** Inside: joins the namespaces that are named by a path, but for what the bridge has joined already. */
export function joinNamespaces(compilation: Compilation): void {
  if (changesUserInBridge(compilation)) return;
  for (const namespace of named(compilation)) {
    if (namespace.type === 'pid') continue;
    joinNamespace(compilation.builder.inside, namespace);
  }
}

/** One namespace: opened by its path, joined, closed. */
export function joinNamespace(lane: LaneBuilder, namespace: NamedNamespace): void {
  join(lane, namespace, openNamespace(lane, namespace));
}

// #region join
export function openNamespace(lane: LaneBuilder, { type, path, index }: NamedNamespace): Slot<'fd'> {
  return lane
    .for(`linux.namespaces[${index}].path`)
    .openat2(
      { dir: 'cwd', path, flags: O_CLOEXEC, mode: 0, resolve: 0 },
      { as: `${type} namespace`, why: `the ${type} namespace to join` },
    );
}

export function join(lane: LaneBuilder, { type, index }: NamedNamespace, fd: Slot<'fd'>): void {
  const at = lane.for(`linux.namespaces[${index}].path`);
  at.setns(
    { fd, flags: NAMESPACE_FLAGS[type] },
    `${JOINED[type] ?? 'joined'}; the kernel checks that it is of this kind`,
  );
  at.close({ fd }, 'joined');
}
// #endregion

const JOINED: Readonly<Partial<Record<NamespaceType, string>>> = {
  pid: 'its children will be born there',
  user: 'all rights in there, and none outside any more',
};

/** Outside: writes one file below /proc/PID of the container's process. */
export function writeProc(lane: LaneBuilder, pid: Slot<'pid'>, path: string, text: string, why: string): void {
  const fd = lane.open_proc({ pid, path, flags: O_WRONLY | O_CLOEXEC }, { as: path, why });
  lane.write({ fd, data: Buffer.from(text) }, `${path}: ${text.trim().replaceAll('\n', ', ')}`);
  lane.close({ fd }, 'written');
}

/** The lines of a uid_map or gid_map. */
export function mapText(mappings: readonly IdMapping[] = []): string {
  return mappings.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join('');
}

/** CLONE_NEW* of these. */
export function namespaceFlags(types: readonly NamespaceType[]): number {
  return types.reduce((flags, type) => flags | NAMESPACE_FLAGS[type], 0);
}

function unsupported(path: string, what: string): TareError {
  return new TareError('unsupported', `config.json: ${path} ${what}`, { path });
}
