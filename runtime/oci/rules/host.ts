/**
 * What the specification lets a config ask for, and what would change the host: names, network devices and kernel parameters
 * of a namespace that the container does not have of its own. Such a config is valid; no container is made of it.
 */
import type { Config } from '../config.js';
import type { NamespaceType } from '../linux.js';
import type { Fault } from '../schema.js';
import { faultIf, hasNamespace, type Rule } from './rule.js';
import { confinedBy, sysctlPath } from './sysctl.js';

/** @param own kinds of namespaces whose path leads to the runtime's own: to have them is to have none */
export function changesOfHost(config: Config, own: ReadonlySet<NamespaceType>): Fault[] {
  const namespaces = config.linux?.namespaces?.filter(({ type, path }) => !(path && own.has(type)));
  const apart = { ...config, linux: { ...config.linux, namespaces } };
  return [...ofNames(apart), ...ofNetDevices(apart), ...ofSysctls(apart)];
}

const ofNames: Rule = (config) =>
  (['hostname', 'domainname'] as const).flatMap((path) =>
    faultIf(
      Boolean(config[path]) && !hasNamespace(config, 'uts'),
      path,
      'needs a uts namespace in linux.namespaces: it would change the host’s',
    ),
  );

const ofNetDevices: Rule = (config) =>
  faultIf(
    Object.keys(config.linux?.netDevices ?? {}).length > 0 && !hasNamespace(config, 'network'),
    'linux.netDevices',
    'needs a network namespace in linux.namespaces: the devices would stay in the host’s',
  );

const ofSysctls: Rule = (config) =>
  Object.keys(config.linux?.sysctl ?? {}).flatMap((name) => {
    const at = `linux.sysctl[${JSON.stringify(name)}]`;
    const path = sysctlPath(name);
    if (path === 'kernel/hostname')
      return [{ path: at, message: 'is what hostname says: only one of them can be true' }];
    const namespace = confinedBy(path);
    if (namespace === undefined)
      return [{ path: at, message: 'is a setting of the whole machine, not of a namespace' }];
    return faultIf(!hasNamespace(config, namespace), at, `needs a ${namespace} namespace of the container’s own`);
  });
