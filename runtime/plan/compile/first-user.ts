/**
 * Who a process is once it is in the container's user namespace: until it changes its ids it is the user of the host that it
 * was, and files that it makes belong to nobody in there. user_namespaces(7), "Interaction of user namespaces and ...".
 */
import type { IdMapping } from '../../oci/index.js';
import type { LaneBuilder } from '../builder.js';
import { type Compilation, creates } from './compilation.js';

/** User and group 0; where a new namespace maps none, those of the program. */
export function becomeFirstUser(compilation: Compilation, lane: LaneBuilder): void {
  const { config, process } = compilation;
  const isNew = creates(compilation, 'user');
  const gid = isNew ? firstId(config.linux?.gidMappings, process.user.gid) : 0;
  const uid = isNew ? firstId(config.linux?.uidMappings, process.user.uid) : 0;
  // A namespace that is joined may map no 0; its rights are complete all the same.
  const tolerate = isNew ? [] : ['EINVAL'];
  lane.setresgid({ real: gid, effective: gid, saved: gid }, { why: `group ${gid} of the user namespace`, tolerate });
  lane.setresuid(
    { real: uid, effective: uid, saved: uid },
    { why: `user ${uid} of the user namespace, which owns its other namespaces`, tolerate },
  );
}

function firstId(mappings: readonly IdMapping[] = [], own: number): number {
  return mappings.some((m) => m.containerID === 0) ? 0 : own;
}
