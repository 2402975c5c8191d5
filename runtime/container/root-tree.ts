/**
 * The root file system of a container that runs, as a tree without what is mounted in it: a copy of its root's mount, attached nowhere, that goes
 * when its descriptor is closed. Made by a tiny plan in the container's mount namespace. open_tree(2), setns(2).
 */
import { readFileSync } from 'node:fs';
import { native } from '../kernel/addon.js';
import { CLONE_NEWNS, CLONE_NEWUSER } from '../kernel/constants/clone.js';
import { OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE } from '../kernel/constants/mount.js';
import { O_CLOEXEC } from '../kernel/constants/open.js';
import { TareError } from '../kernel/error.js';
import { OwnedFd } from '../kernel/fd.js';
import { isAlive, type ProcessIdentity } from '../kernel/process-identity.js';
import type { IdMapping, NamespaceType } from '../oci/index.js';
import { PlanBuilder, runPlan } from '../plan/index.js';
import { differingNamespaces, stopped } from './exec-place.js';
import { namespaceLink } from './namespace-link.js';

/** @throws TareError `unsupported` without a mount namespace of its own, `state` when it has ended, `permission` */
export async function openRootTree(init: ProcessIdentity): Promise<OwnedFd> {
  const namespaces = differingNamespaces(init);
  if (!namespaces.includes('mount'))
    throw new TareError(
      'unsupported',
      'the container has no mount namespace of its own: its root is a folder of the host',
    );
  using mounts = namespaceOf(init, 'mount');
  using users = namespaces.includes('user') && process.geteuid?.() !== 0 ? namespaceOf(init, 'user') : undefined;
  if (!isAlive(init)) throw stopped();
  const builder = new PlanBuilder();
  const lane = builder.outside;
  const given = { mounts: builder.given('mounts'), ...(users && { users: builder.given('users') }) };
  if (given.users) lane.setns({ fd: given.users, flags: CLONE_NEWUSER }, 'who is not root has rights over it in there');
  lane.setns({ fd: given.mounts, flags: CLONE_NEWNS }, 'where the container’s root is mounted');
  const root = lane.open_tree(
    { dir: 'cwd', path: '/', flags: OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC },
    { as: 'root', why: 'a copy of the root’s mount, and of none that is mounted in it' },
  );
  lane.give({ name: 'root', fd: root }, 'for who asked for it');
  lane.exit({ status: 0 }, 'the descriptor keeps the mount');
  const found: OwnedFd[] = [];
  const error = await runPlan(builder.build(), {
    given: { mounts: mounts.fd, ...(users && { users: users.fd }) },
    onGive: (_, fd) => found.push(new OwnedFd(fd)),
  }).ended;
  const [tree] = found;
  if (tree && !error) return tree;
  tree?.close();
  throw error ?? new TareError('plan', 'the container’s root was not given');
}

/** Who the container's users and groups are for this process. proc_pid_uid_map(5). */
export function idMapsOf({ pid }: ProcessIdentity): {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
} {
  const read = (name: string) =>
    readFileSync(`/proc/${pid}/${name}`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .map(([containerID = 0, hostID = 0, size = 0]) => ({ containerID, hostID, size }));
  return { uids: read('uid_map'), gids: read('gid_map') };
}

function namespaceOf({ pid }: ProcessIdentity, type: NamespaceType): OwnedFd {
  return new OwnedFd(native.open(`/proc/${pid}/${namespaceLink(type)}`, O_CLOEXEC));
}
