/** The other rules of `linux`: paths, devices, cache allocation, memory policy. config-linux.md. */
import type { IntelRdt } from '../linux.js';
import { parseNumberList } from '../number-list.js';
import type { Fault } from '../schema.js';
import { ofList } from './process.js';
import { absolute, faultIf, type Rule } from './rule.js';

export const ofPaths: Rule = ({ linux }) => [
  ...(['maskedPaths', 'readonlyPaths'] as const).flatMap((name) =>
    (linux?.[name] ?? []).flatMap((path, i) => absolute(`linux.${name}[${i}]`, path)),
  ),
  // Another container's limits, or the host's, would be changed.
  ...faultIf(linux?.cgroupsPath?.split('/').includes('..') ?? false, 'linux.cgroupsPath', 'must not contain ..'),
];

export const ofDevices: Rule = ({ linux }) =>
  (linux?.devices ?? []).flatMap((device, i) => [
    ...absolute(`linux.devices[${i}].path`, device.path),
    ...faultIf(
      device.type !== 'p' && (device.major === undefined || device.minor === undefined),
      `linux.devices[${i}]`,
      'must have major and minor',
    ),
  ]);

export const ofIntelRdt: Rule = ({ linux }) => {
  const rdt = linux?.intelRdt;
  if (rdt === undefined) return [];
  const at = 'linux.intelRdt';
  const line = (path: string, text = ''): Fault[] => faultIf(text.includes('\n'), path, 'must be one line');
  return [
    ...faultIf(
      !isClass(rdt.closID),
      `${at}.closID`,
      `must be the name of a class, or /, not ${JSON.stringify(rdt.closID)}`,
    ),
    ...faultIf(
      Boolean(rdt.memBwSchema) && !rdt.memBwSchema?.startsWith('MB:'),
      `${at}.memBwSchema`,
      `must start with MB:, not ${JSON.stringify(rdt.memBwSchema)}`,
    ),
    ...line(`${at}.memBwSchema`, rdt.memBwSchema),
    ...line(`${at}.l3CacheSchema`, rdt.l3CacheSchema),
    ...(rdt.schemata ?? []).flatMap((schema, i) => line(`${at}.schemata[${i}]`, schema)),
  ];
};

/** A folder in the root of resctrl; `/` is that root itself. */
function isClass(name: IntelRdt['closID']): boolean {
  return !name || name === '/' || (name !== '.' && name !== '..' && !/[/\n]/.test(name));
}

/** Modes that are about no node, and those that are about some: set_mempolicy(2). */
const WITHOUT_NODES = ['MPOL_DEFAULT', 'MPOL_LOCAL'];
const WITH_NODES = ['MPOL_BIND', 'MPOL_INTERLEAVE', 'MPOL_WEIGHTED_INTERLEAVE', 'MPOL_PREFERRED_MANY'];

export const ofMemoryPolicy: Rule = ({ linux }) => {
  const policy = linux?.memoryPolicy;
  if (policy === undefined) return [];
  const { mode, nodes = '', flags = [] } = policy;
  const path = 'linux.memoryPolicy.nodes';
  const wrong = ofList(nodes, path);
  if (wrong.length > 0) return wrong;
  const count = parseNumberList(nodes)?.length ?? 0;
  const some = count > 0;
  return [
    ...faultIf(
      some && WITHOUT_NODES.includes(mode),
      path,
      `must be empty: ${mode} mode requires 0 nodes but got ${count}`,
    ),
    ...faultIf(!some && WITH_NODES.includes(mode), path, `must name at least one node for ${mode}`),
    ...faultIf(
      flags.includes('MPOL_F_STATIC_NODES') && flags.includes('MPOL_F_RELATIVE_NODES'),
      'linux.memoryPolicy.flags',
      'has MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES, of which only one can be had',
    ),
  ];
};
