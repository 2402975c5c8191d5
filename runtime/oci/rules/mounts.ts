/** The rules of `root` and `mounts`: config.md#root, config.md#mounts. Their options are read by plan/compile/options.ts. */
import { posix } from 'node:path';
import type { Mount } from '../config.js';
import type { Fault } from '../schema.js';
import { mappingFaults } from './mappings.js';
import { faultIf, hasNamespace, type Rule } from './rule.js';

/** Joined to the bundle's folder an empty path would be that folder. */
export const ofRoot: Rule = ({ root }) => faultIf(root?.path === '', 'root.path', 'must not be empty');

export const ofMounts: Rule = (config) =>
  (config.mounts ?? []).flatMap((mount, i) => [
    // What is mounted on the root is below the process that enters it, where nothing can see it.
    ...faultIf(
      posix.resolve(mount.destination) === '/',
      `mounts[${i}].destination`,
      `must be below the root, not ${JSON.stringify(mount.destination)}, the root itself`,
    ),
    ...ofIdMap(mount, `mounts[${i}]`, hasNamespace(config, 'user')),
  ]);

function ofIdMap(
  { uidMappings = [], gidMappings = [], options = [] }: Mount,
  at: string,
  inUserNamespace: boolean,
): Fault[] {
  const asks = options.findIndex((option) => option === 'idmap' || option === 'ridmap');
  return [
    ...faultIf(
      uidMappings.length > 0 && gidMappings.length === 0,
      `${at}.gidMappings`,
      'is missing: uidMappings is there',
    ),
    ...faultIf(
      gidMappings.length > 0 && uidMappings.length === 0,
      `${at}.uidMappings`,
      'is missing: gidMappings is there',
    ),
    ...faultIf(
      asks >= 0 && uidMappings.length + gidMappings.length === 0 && !inUserNamespace,
      `${at}.options[${asks}]`,
      `is ${options[asks]}, which needs uidMappings and gidMappings, or a user namespace to take them from`,
    ),
    ...mappingFaults(uidMappings, `${at}.uidMappings`),
    ...mappingFaults(gidMappings, `${at}.gidMappings`),
  ];
}
