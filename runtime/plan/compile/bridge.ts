/**
 * The bridge: a short-lived process between *outside* and *inside*. A pid namespace that is joined, and clocks that are set, hold
 * for the children of who does it; namespaces of the host must be joined before a user namespace takes the rights to, those of the user
 * namespace after. So *outside* clones the bridge, which does that and clones *inside* in its turn, as a child of stage
 * (CLONE_PARENT), and ends. setns(2), pid_namespaces(7), user_namespaces(7), time_namespaces(7).
 *
 * It is not dumpable but for the moment in which its ids are mapped, when it is in a user namespace that nobody else is in: whoever is
 * root in a namespace that it joins could else trace it, and reach the host through it (CVE-2016-9962).
 */
import type { LaneBuilder } from '../builder.js';
import type { Slot } from '../plan.js';
import {
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_PARENT,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
  PR_SET_DUMPABLE,
} from './abi.js';
import type { CgroupEntrance } from './cgroup.js';
import { type Compilation, creates, joins } from './compilation.js';
import { becomeFirstUser } from './first-user.js';
import { writeIdMaps } from './id-maps.js';
import { oomScoreOf } from './limits.js';
import {
  changesUserInBridge,
  cloneFlags,
  join,
  joinNamespace,
  type NamedNamespace,
  named,
  openNamespace,
} from './namespaces.js';
import { makeOverlayBefore } from './overlay-root.js';
import { makeBefore } from './owned.js';
import { hasTimeOffsets, setTimeOffsets } from './time-offsets.js';

/** Returns the slot of the pid of *inside*, in *outside*. */
export function cloneByBridge(compilation: Compilation, entrance: CgroupEntrance): Slot<'pid'> {
  const { outside, bridge } = compilation.builder;
  const { pid, pidfd } = outside.for('linux.namespaces').clone(
    { lane: 'bridge', flags: 0, cgroup: 'none' },
    {
      as: 'bridge',
      why: 'goes into namespaces that only hold for its children, or that must be entered in an order',
    },
  );
  setOomScoreOfBridge(compilation);
  const proc = hasTimeOffsets(compilation)
    ? bridge.openat2(
        { dir: 'cwd', path: '/proc', flags: O_PATH | O_DIRECTORY | O_CLOEXEC, mode: 0, resolve: 0 },
        { as: 'proc of the host', why: 'where the offsets of the clocks are written, whatever root it has by then' },
      )
    : undefined;
  if (changesUserInBridge(compilation)) changeUser(compilation, { pid, pidfd }, proc);
  else {
    if (proc) setTimeOffsets(compilation, bridge, proc);
    for (const namespace of named(compilation)) if (namespace.type === 'pid') joinNamespace(bridge, namespace);
  }
  return cloneInside(compilation, entrance);
}

/** Children inherit it. Root writes it to a process that is not dumpable; anybody else only before it is so. */
export function setOomScoreOfBridge(compilation: Compilation): void {
  const score = oomScoreOf(compilation);
  if (score === undefined) return;
  const lane = compilation.builder.bridge.for('process.oomScoreAdj');
  const isRoot = compilation.caller.uid === 0;
  if (!isRoot) setDumpable(lane, 1, 'else the file would belong to root');
  const fd = lane.open_proc(
    { pid: 'self', path: 'oom_score_adj', flags: O_WRONLY | O_CLOEXEC },
    { as: 'oom_score_adj', why: 'how soon the kernel ends it when memory runs out; its child inherits it' },
  );
  lane.write({ fd, data: Buffer.from(`${score}`) }, `oom_score_adj: ${score}`);
  lane.close({ fd }, 'written');
  if (!isRoot) setDumpable(lane, 0, 'before it joins anything');
}

/** The bridge, as *outside* knows it. */
type Self = { readonly pid: Slot<'pid'>; readonly pidfd: Slot<'fd'> };

/** What belongs to the host, then the user namespace, then what belongs to that. */
function changeUser(compilation: Compilation, self: Self, proc: Slot<'fd'> | undefined): void {
  const { joined, caller } = compilation;
  const { bridge } = compilation.builder;
  // Opened first: in another mount namespace, or as another user, these paths may mean nothing or be out of reach.
  const opened = named(compilation).map((namespace) => ({ namespace, fd: openNamespace(bridge, namespace) }));
  const user = opened.find(({ namespace }) => namespace.type === 'user');
  const isLater = ({ type }: NamedNamespace) => user !== undefined && (joined?.ofJoinedUser.has(type) ?? false);
  const others = opened.filter((one) => one !== user);
  for (const { namespace, fd } of others) if (!isLater(namespace)) join(bridge, namespace, fd);

  makeBefore(compilation, bridge);
  makeOverlayBefore(compilation, bridge);
  if (user) join(bridge, user.namespace, user.fd);
  else makeUserNamespace(compilation, self);
  if (proc) {
    // Before its ids change: until then the file is its own.
    const mustOpen = user !== undefined && caller.uid !== 0;
    if (mustOpen) setDumpable(bridge, 1, 'else the file would belong to root');
    setTimeOffsets(compilation, bridge, proc);
    if (mustOpen) setDumpable(bridge, 0, 'the clocks are set');
  }
  if (!user) setDumpable(bridge, 0, 'nobody of the container may trace it or open its descriptors (CVE-2016-9962)');
  becomeFirstUser(compilation, bridge.for(user ? 'linux.namespaces' : 'linux.uidMappings'));
  for (const { namespace, fd } of others) if (isLater(namespace)) join(bridge, namespace, fd);
}

function makeUserNamespace(compilation: Compilation, { pid, pidfd }: Self): void {
  const { builder } = compilation;
  const bridge = builder.bridge.for('linux.namespaces');
  setDumpable(bridge, 1, 'else only root could write its id maps');
  bridge.unshare({ flags: CLONE_NEWUSER }, 'the user namespace, which will own all namespaces that are made in it');
  builder.sync('bridge', 'outside', 'there is a user namespace without id maps');
  writeIdMaps(compilation, pid, pidfd);
  builder.sync('outside', 'bridge', 'its ids are mapped');
}

function cloneInside(compilation: Compilation, entrance: CgroupEntrance): Slot<'pid'> {
  const { builder } = compilation;
  let flags = cloneFlags(compilation) | CLONE_PARENT;
  if (creates(compilation, 'user')) flags &= ~CLONE_NEWUSER;
  if (hasTimeOffsets(compilation)) flags &= ~CLONE_NEWTIME;
  const bridge = builder.bridge.for('linux.namespaces');
  // pid_namespaces(7): without its first process no other can be made.
  const note = joins(compilation, 'pid') ? ' (ENOMEM: the pid namespace has lost its first process)' : '';
  bridge.clone(
    { lane: 'inside', flags, cgroup: entrance.into },
    {
      as: 'container of bridge',
      why: `the process that becomes the container, born into its namespaces, as a child of stage${note}`,
    },
  );
  builder.sync('bridge', 'outside', 'the container’s process is there');
  bridge.exit({ status: 0 }, 'the bridge has done its work');
  const { pid } = builder.outside
    .for('linux.namespaces')
    .adopt({ lane: 'inside' }, { as: 'container', why: 'the process that the bridge cloned' });
  return pid;
}

function setDumpable(lane: LaneBuilder, value: 0 | 1, why: string): void {
  lane.prctl({ option: PR_SET_DUMPABLE, arg2: value, arg3: 0, arg4: 0, arg5: 0 }, why);
}
