/**
 * Where a container is, as `exec` needs it: by its first process, which has a pid that could be another's a moment later. So its identity
 * is checked once more after each look, and what is handed to the plan are descriptors. namespaces(7), proc_pid_ns(5), proc_pid_root(5).
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { native } from '../kernel/addon.js';
import { type CgroupPlan, cgroupsToJoin, entranceOf, subCgroup } from '../kernel/cgroup/index.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants/open.js';
import { TareError } from '../kernel/error.js';
import { closeAll } from '../kernel/fd.js';
import { isAlive, type ProcessIdentity } from '../kernel/process-identity.js';
import { type Config, NAMESPACE_TYPES, type NamespaceType } from '../oci/index.js';
import { EXEC, execNamespace } from '../plan/index.js';
import { namespaceLink } from './namespace-link.js';
import type { StoredState } from './stored-state.js';

/** The words are runc's: engines look for them. */
export function stopped(): TareError {
  return new TareError('state', 'cannot exec in a stopped container');
}

/** setns(2) refuses to enter the user namespace that one is in, and what is the same need not be entered. */
export function differingNamespaces(init: ProcessIdentity): NamespaceType[] {
  const differing = NAMESPACE_TYPES.filter((type) => linkOf(init.pid, type) !== linkOf('self', type));
  if (!isAlive(init)) throw stopped();
  return differing;
}

function linkOf(pid: number | 'self', type: NamespaceType): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${namespaceLink(type)}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined; // this kernel has none of this type, or the process has ended
    const what =
      'the namespaces of the container cannot be looked at: it belongs to another user, or is not started yet';
    throw new TareError('permission', `${what} (${code})`, { cause: error });
  }
}

/** One that was made by the root of a user namespace, as who is not root makes those of images, is in that, and does not say so. */
export function withItsUsers(config: Config, namespaces: readonly NamespaceType[], pid: number): Config {
  const named = config.linux?.namespaces ?? [];
  if (!namespaces.includes('user') || named.some(({ type }) => type === 'user')) return config;
  const user = { type: 'user' as const, path: `/proc/${pid}/ns/user` };
  return { ...config, linux: { ...config.linux, namespaces: [user, ...named] } };
}

/** proc_pid_setgroups(5). */
export function maySetGroups(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/setgroups`, 'utf8').trim() === 'allow';
  } catch (error) {
    // It has ended: what follows says so.
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/** The container's root as a path of this process: with its mounts, where it may look there. */
export function rootOf({ rootfs, init }: Pick<StoredState, 'rootfs' | 'init'>): string {
  try {
    if (!init || !isAlive(init)) return rootfs ?? NOWHERE;
    readlinkSync(`/proc/${init.pid}/root`);
    return `/proc/${init.pid}/root`;
  } catch {
    // Who may not trace it gets what was below its mounts: that is enough to find a home.
    return rootfs ?? NOWHERE;
  }
}

const NOWHERE = '/nonexistent';

/**
 * @param named `--cgroup`: one below the container's
 * @throws TareError `usage` for one that leaves the container's, `not-found`, `unsupported` where the container has none
 */
export function entranceInto(
  { cgroup }: Pick<StoredState, 'cgroup'>,
  init: ProcessIdentity,
  named: string | readonly string[] = [],
): Pick<CgroupPlan, 'tasks' | 'into' | 'procs'> | null {
  const asked = typeof named === 'string' || named.length > 0;
  if (cgroup.length > 0) return entranceOf(asked ? subCgroup(cgroup, named) : cgroupsToJoin(cgroup, init.pid));
  if (!asked) return null;
  throw new TareError('unsupported', '--cgroup: the container has no cgroup');
}

/** What the plan is given of the container besides the pidfd of its first process. The caller closes them. */
export function openPlaces(given: readonly string[], init: ProcessIdentity): Record<string, number> {
  const fds: Record<string, number> = {};
  try {
    if (given.includes(EXEC.root)) fds[EXEC.root] = open(init, 'root', O_PATH | O_DIRECTORY);
    for (const type of NAMESPACE_TYPES) {
      const name = execNamespace(type);
      if (given.includes(name)) fds[name] = open(init, namespaceLink(type), 0);
    }
    if (!isAlive(init)) throw stopped();
    return fds;
  } catch (error) {
    closeAll(Object.values(fds));
    throw error;
  }
}

function open({ pid }: ProcessIdentity, path: string, flags: number): number {
  return native.open(`/proc/${pid}/${path}`, flags | O_CLOEXEC);
}
