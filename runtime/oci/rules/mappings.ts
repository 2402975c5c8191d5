/**
 * The rules of id mappings, those of a user namespace and those of a mount, and of the ids that are mapped: what the kernel
 * would answer with a bare EINVAL. user_namespaces(7), "Defining user and group ID mappings".
 */
import { type IdMapping, MAX_ID } from '../fields.js';
import type { Linux } from '../linux.js';
import type { Process } from '../process.js';
import type { Fault } from '../schema.js';
import { below, createsNamespace, faultIf, hasNamespace, type Rule } from './rule.js';

const LISTS = ['uidMappings', 'gidMappings'] as const;

export const ofMappings: Rule = (config) => {
  const { linux, process } = config;
  const faults = LISTS.flatMap((name): Fault[] => {
    const path = `linux.${name}`;
    const mappings = linux?.[name] ?? [];
    if (mappings.length === 0) {
      return faultIf(
        createsNamespace(config, 'user'),
        path,
        'is missing: a new user namespace without it has no user that may do anything',
      );
    }
    if (!hasNamespace(config, 'user')) return [{ path, message: 'needs a user namespace in linux.namespaces' }];
    return mappingFaults(mappings, path);
  });
  return process && faults.length === 0 ? idsNotMapped(process, linux, 'process') : faults;
};

/** Ids of a process that the container's own user namespace does not have: setresuid(2) would fail. */
export function idsNotMapped({ user }: Process, linux: Linux | undefined, at: string): Fault[] {
  // What a joined namespace maps is not in the config, or only repeated there.
  if (!linux || !createsNamespace({ linux }, 'user')) return [];
  const ids = [
    ['uid', user.uid, 'uidMappings'],
    ['gid', user.gid, 'gidMappings'],
  ] as const;
  return ids.flatMap(([field, id, list]) =>
    faultIf(
      !linux[list]?.some((m) => id >= m.containerID && id < m.containerID + m.size),
      below(at, `user.${field}`),
      `is ${id}, which linux.${list} does not map into the user namespace`,
    ),
  );
}

export function mappingFaults(mappings: readonly IdMapping[], path: string): Fault[] {
  return [
    ...faultIf(mappings.length > 340, path, `has at most 340 entries (user_namespaces(7)), not ${mappings.length}`),
    ...mappings.flatMap((mapping, i) =>
      (['containerID', 'hostID'] as const).flatMap((side) => [
        // 2^32-1 is no id, so no range may reach it (CVE-2024-40635).
        ...faultIf(
          mapping[side] + mapping.size - 1 > MAX_ID,
          `${path}[${i}].size`,
          `is ${mapping.size}: from ${side} ${mapping[side]} on that is more than there are ids`,
        ),
        ...faultIf(
          mappings.slice(0, i).some((other) => overlap(mapping, other, side)),
          `${path}[${i}].${side}`,
          'begins a range that overlaps with one before it',
        ),
      ]),
    ),
  ];
}

function overlap(a: IdMapping, b: IdMapping, side: 'containerID' | 'hostID'): boolean {
  return a[side] < b[side] + b.size && b[side] < a[side] + a.size;
}
