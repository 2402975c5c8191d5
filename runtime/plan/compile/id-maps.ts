/**
 * Which users of the host the users of a new user namespace are: written by a process outside of it, once. Who is not root may
 * map their own id alone, and a group only with setgroups(2) given up in exchange (CVE-2014-8989); more than that is mapped by
 * newuidmap(1) and newgidmap(1), which are root's and know from /etc/subuid and /etc/subgid whom they may give what. user_namespaces(7).
 */
import type { IdMapping } from '../../oci/index.js';
import type { Slot } from '../plan.js';
import { type Compilation, creates, joins } from './compilation.js';
import { mapText, writeProc } from './namespaces.js';

/** The call steps of the helpers. Along comes a pidfd of the process whose namespace it is. */
export const ID_HELPERS = { uidMappings: 'newuidmap', gidMappings: 'newgidmap' } as const;
export type IdMaps = keyof typeof ID_HELPERS;

/** Outside. Until then the container is nobody. */
export function writeIdMaps(
  compilation: Pick<Compilation, 'builder' | 'config' | 'caller'>,
  pid: Slot<'pid'>,
  pidfd: Slot<'fd'>,
): void {
  if (!creates(compilation, 'user')) return;
  const { builder, config, caller } = compilation;
  if (caller.uid !== 0 && !needsIdHelper(compilation, 'gidMappings')) {
    writeProc(
      builder.outside.for('linux.gidMappings'),
      pid,
      'setgroups',
      'deny',
      'without it the kernel takes no gid map from a user who is not root (CVE-2014-8989)',
    );
  }
  for (const [maps, file] of [['uidMappings', 'uid_map'] as const, ['gidMappings', 'gid_map'] as const]) {
    const outside = builder.outside.for(`linux.${maps}`);
    const what = maps === 'uidMappings' ? 'users' : 'groups';
    if (needsIdHelper(compilation, maps)) {
      outside.call(
        { name: ID_HELPERS[maps], fd: pidfd },
        `which ${what} of the host its ${what} are, as far as they are the caller’s`,
      );
    } else {
      writeProc(outside, pid, file, mapText(config.linux?.[maps]), `which ${what} of the host its ${what} are`);
    }
  }
}

/** Whether it takes a helper to write these maps: they have more than the own id of a caller who is not root. */
export function needsIdHelper({ config, caller }: Pick<Compilation, 'config' | 'caller'>, maps: IdMaps): boolean {
  if (caller.uid === 0) return false;
  const own = maps === 'uidMappings' ? caller.uid : caller.gid;
  const [first, ...more]: readonly IdMapping[] = config.linux?.[maps] ?? [];
  return more.length > 0 || first?.hostID !== own || first.size !== 1;
}

/** Whether the process can have no other groups than those that the caller has. */
export function keepsGroups(compilation: Compilation): boolean {
  const { caller, joined } = compilation;
  if (caller.setgroupsDenied) return true;
  if (caller.uid === 0 || (joined?.setgroups && joins(compilation, 'user'))) return false;
  return !creates(compilation, 'user') || !needsIdHelper(compilation, 'gidMappings');
}
