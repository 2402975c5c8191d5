/**
 * The rules of config.md and config-linux.md that no single field's type can state: what depends on another field, names
 * of closed lists that are open to growth, and paths that must be absolute.
 */
import { posix } from 'node:path';
import type { Config } from './config.js';
import type { Fault } from './schema.js';

export function rulesBetweenFields(config: Config): Fault[] {
  return [
    ...ofRoot(config),
    ...ofProcess(config),
    ...ofMounts(config),
    ...ofNamespaces(config),
    ...ofLinux(config),
    ...ofSeccomp(config),
  ];
}

function ofRoot({ root }: Config): Fault[] {
  // Joined to the bundle's folder it would be that folder.
  return root?.path === '' ? [{ path: 'root.path', message: 'must not be empty' }] : [];
}

function ofProcess({ process }: Config): Fault[] {
  if (process === undefined) return [];
  const faults: Fault[] = [];
  if (!posix.isAbsolute(process.cwd)) faults.push(mustBeAbsolute('process.cwd', process.cwd));
  if (process.args === undefined || process.args.length === 0) {
    faults.push({ path: 'process.args', message: 'must hold at least the program to run' });
  }
  process.env?.forEach((entry, i) => {
    if (entry.indexOf('=') < 1)
      faults.push({ path: `process.env[${i}]`, message: `must be NAME=value, not ${JSON.stringify(entry)}` });
  });
  const limits = new Set<string>();
  process.rlimits?.forEach((limit, i) => {
    const path = `process.rlimits[${i}]`;
    if (limits.has(limit.type)) faults.push({ path: `${path}.type`, message: `names ${limit.type} a second time` });
    limits.add(limit.type);
    if (limit.soft > limit.hard)
      faults.push({ path: `${path}.soft`, message: `must not be above the hard limit ${limit.hard}` });
  });
  return faults;
}

function ofMounts({ mounts = [] }: Config): Fault[] {
  return mounts.flatMap((mount, i) => {
    const path = `mounts[${i}].destination`;
    // Before version 1.1 of the specification nothing said that it must be absolute, and umoci and Docker write absolute ones.
    if (!posix.isAbsolute(mount.destination)) return [mustBeAbsolute(path, mount.destination)];
    // What is mounted on the root is below the process that enters it, where nothing can see it.
    if (posix.resolve(mount.destination) !== '/') return [];
    return [{ path, message: `must be below the root, not ${JSON.stringify(mount.destination)}, the root itself` }];
  });
}

function ofNamespaces({ linux, hostname, domainname }: Config): Fault[] {
  const faults: Fault[] = [];
  const seen = new Set<string>();
  linux?.namespaces?.forEach((namespace, i) => {
    const path = `linux.namespaces[${i}]`;
    if (seen.has(namespace.type))
      faults.push({ path: `${path}.type`, message: `names ${namespace.type} a second time` });
    seen.add(namespace.type);
    if (namespace.path !== undefined && !posix.isAbsolute(namespace.path)) {
      faults.push(mustBeAbsolute(`${path}.path`, namespace.path));
    }
  });
  const creates = (type: string) => linux?.namespaces?.some((n) => n.type === type && !n.path) ?? false;
  for (const [path, value] of Object.entries({ hostname, domainname })) {
    if (value !== undefined && value !== '' && !seen.has('uts')) {
      faults.push({ path, message: 'needs a uts namespace in linux.namespaces: it would change the host’s' });
    }
    if (value !== undefined && value.length > 64) {
      faults.push({ path, message: `has at most 64 characters (uname(2)), not ${value.length}` });
    }
  }
  for (const path of ['uidMappings', 'gidMappings'] as const) {
    const mappings = linux?.[path] ?? [];
    if (mappings.length > 0 && !seen.has('user')) {
      faults.push({ path: `linux.${path}`, message: 'needs a user namespace in linux.namespaces' });
    }
    if (mappings.length === 0 && creates('user')) {
      faults.push({
        path: `linux.${path}`,
        message: 'is missing: a new user namespace without it has no user that may do anything',
      });
    }
    if (mappings.length > 340) {
      faults.push({
        path: `linux.${path}`,
        message: `has at most 340 entries (user_namespaces(7)), not ${mappings.length}`,
      });
    }
  }
  return faults;
}

function ofLinux({ linux }: Config): Fault[] {
  const faults: Fault[] = [];
  for (const name of ['maskedPaths', 'readonlyPaths'] as const) {
    linux?.[name]?.forEach((path, i) => {
      if (!posix.isAbsolute(path)) faults.push(mustBeAbsolute(`linux.${name}[${i}]`, path));
    });
  }
  linux?.devices?.forEach((device, i) => {
    const path = `linux.devices[${i}]`;
    if (!posix.isAbsolute(device.path)) faults.push(mustBeAbsolute(`${path}.path`, device.path));
    if (device.type !== 'p' && (device.major === undefined || device.minor === undefined)) {
      faults.push({ path, message: 'must have major and minor' });
    }
  });
  linux?.resources?.devices?.forEach((rule, i) => {
    if (rule.access !== undefined && !/^[rwm]+$/.test(rule.access)) {
      faults.push({
        path: `linux.resources.devices[${i}].access`,
        message: `is made of r, w and m, not ${JSON.stringify(rule.access)}`,
      });
    }
  });
  if (linux?.cgroupsPath?.split('/').includes('..')) {
    faults.push({ path: 'linux.cgroupsPath', message: 'must not contain ..' });
  }
  return faults;
}

/** A call that asks a listener, and finds none, is answered with ENOSYS: not what the profile says. seccomp_unotify(2). */
function ofSeccomp({ linux }: Config): Fault[] {
  const { seccomp } = linux ?? {};
  if (!seccomp || seccomp.listenerPath) return [];
  const actions: [path: string, action: string][] = [
    ['linux.seccomp.defaultAction', seccomp.defaultAction],
    ...(seccomp.syscalls ?? []).map(({ action }, i): [string, string] => [
      `linux.seccomp.syscalls[${i}].action`,
      action,
    ]),
  ];
  return actions
    .filter(([, action]) => action === 'SCMP_ACT_NOTIFY')
    .map(([path, action]) => ({ path, message: `is ${action}, which needs linux.seccomp.listenerPath: whom to ask` }));
}

function mustBeAbsolute(path: string, value: string): Fault {
  return { path, message: `must be an absolute path, not ${JSON.stringify(value)}` };
}
