/**
 * The birth of the process that becomes the container: cloned by *outside* into its new namespaces, or, where an order of
 * namespaces needs a process in between, by the bridge. Afterwards *outside* knows its pid, and *inside* is user 0 of its user
 * namespace. clone(2), user_namespaces(7).
 */
import type { Slot } from '../plan.js';
import { PR_SET_DUMPABLE } from './abi.js';
import { cloneByBridge } from './bridge.js';
import type { CgroupEntrance } from './cgroup.js';
import { type Compilation, creates } from './compilation.js';
import { becomeFirstUser } from './first-user.js';
import { writeIdMaps } from './id-maps.js';
import { setOomScore } from './limits.js';
import { cloneFlags, needsBridge } from './namespaces.js';

/** Returns the slot of its pid, in *outside*. */
export function giveBirth(compilation: Compilation, entrance: CgroupEntrance): Slot<'pid'> {
  const { builder } = compilation;
  if (needsBridge(compilation)) {
    const pid = cloneByBridge(compilation, entrance);
    prepareModes(compilation);
    return pid;
  }
  const { pid, pidfd } = builder.outside
    .for('linux.namespaces')
    .clone(
      { lane: 'inside', flags: cloneFlags(compilation), cgroup: entrance.into },
      { as: 'container', why: 'the process that becomes the container, born into its namespaces' },
    );
  writeIdMaps(compilation, pid, pidfd);
  setOomScore(compilation, pid);
  prepareModes(compilation);
  waitForOutside(compilation);
  return pid;
}

function prepareModes({ builder }: Compilation): void {
  builder.inside.umask({ mask: 0 }, 'devices and mount points get exactly the modes that are named');
}

/**
 * Id maps and the OOM score are written by the outside, into /proc/PID of this process. In a user namespace it must stay
 * dumpable until then, else only root could write there; stage makes every other process non-dumpable as it is born.
 */
function waitForOutside(compilation: Compilation): void {
  const { builder, process } = compilation;
  const mapped = creates(compilation, 'user');
  if (!mapped && process.oomScoreAdj === undefined) return;
  builder.sync('outside', 'inside', 'what only the outside may write is written');
  if (!mapped) return;
  const inside = builder.inside.for('linux.uidMappings');
  inside.prctl(
    { option: PR_SET_DUMPABLE, arg2: 0, arg3: 0, arg4: 0, arg5: 0 },
    'nobody of the container may trace this process or open its descriptors (CVE-2016-9962)',
  );
  becomeFirstUser(compilation, inside);
}
