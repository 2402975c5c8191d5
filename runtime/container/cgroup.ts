/**
 * From a bundle to the plan of its cgroup: where it lies, what is limited, which devices may be opened, and whom it is given to.
 * A limit that cannot be had is refused by name; what only says what is so anyway, or what engines send without a need, is a warning.
 * runtime-spec: config-linux.md, Control groups.
 */
import { accessSync, constants } from 'node:fs';
import { DEFAULT_DEVICE_RULES } from '../kernel/cgroup/devices.js';
import { type CgroupHost, type CgroupPlan, type DeviceRule, planCgroup } from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import type { Features } from '../kernel/features.js';
import { annotatedProperties } from '../kernel/systemd/annotations.js';
import { checkSystemd } from '../kernel/systemd/scope.js';
import { scopeOf } from '../kernel/systemd/scope-name.js';
import type { Bundle, Config } from '../oci/index.js';
import type { Caller } from '../plan/index.js';

/**
 * Null when the container gets no cgroup: this machine has none, or none that the caller may make one in.
 * @throws TareError `unsupported` for a limit that cannot hold, `permission` for a cgroup that may not be made, and as `planCgroup` does
 */
export function cgroupOf(
  { config }: Bundle,
  id: string,
  { cgroups, deviceProgram }: Features,
  caller: Caller,
  warnings: string[],
  { rootless, systemdCgroup = false }: { readonly rootless?: boolean; readonly systemdCgroup?: boolean } = {},
): CgroupPlan | null {
  const scope = systemdCgroup ? scopeOf(config.linux?.cgroupsPath, id, caller.uid) : undefined;
  if (scope) {
    checkSystemd(scope.uid);
    annotatedProperties(config.annotations); // what is wrong with them is said before anything is made
  }
  const named = scope?.path ?? config.linux?.cgroupsPath;
  const resources = config.linux?.resources;
  if (cgroups.layout === 'none' && !resources) return null;
  const plan = planCgroup(cgroups, {
    path: named || defaultPath(id, cgroups, caller),
    limits: { ...resources, devices: deviceRules(config, caller) },
    devicePrograms: deviceProgram,
    owner: caller.uid === 0 ? ownerOf(config) : undefined,
    hierarchies: named || mayMount(config) ? 'all' : 'needed',
    inScope: scope !== undefined,
  });
  const has = plan.places.length > 0;
  if (named && !has && cgroups.layout !== 'none')
    throw new TareError('permission', `unable to apply cgroup configuration: ${named}: permission denied`, {
      path: 'linux.cgroupsPath',
    });
  if (rootless === false && !has && cgroups.layout !== 'none')
    throw new TareError('permission', 'the caller may make no cgroup, and --rootless=false asks for one');
  for (const { field, why } of plan.unenforced) {
    const sentence = `${field} cannot be enforced here: ${has ? why : `${why} (${NO_PERMISSION})`}`;
    if (field.startsWith('linux.resources.unified'))
      throw new TareError('unsupported', `invalid configuration for this machine: ${sentence}`, { path: field });
    if (!field.startsWith('linux.resources.devices')) throw new TareError('unsupported', sentence, { path: field });
    if (cgroups.layout !== 'none') warnings.push(sentence);
  }
  for (const { field, why } of plan.ignored) warnings.push(`${field} is ignored: ${why}`);
  return has ? { ...plan, ...(scope && { scope }) } : null;
}

const NO_PERMISSION = 'rootless needs no limits + no cgrouppath when no permission is granted for cgroups';

/**
 * Root's lie below /tare. Who is not root has, if any, the cgroup that it is in itself (`systemd-run --user --scope -p Delegate=yes`).
 */
function defaultPath(id: string, cgroups: CgroupHost, { uid }: Caller): string {
  const parent = process.env.TARE_CGROUP_PARENT;
  if (parent || uid === 0) return `${parent ?? '/tare'}/${id}`;
  return cgroups.hierarchies.some(({ own }) => isWritable(own)) ? `tare-${id}` : `/tare/${id}`;
}

/**
 * Who names a cgroup may look for it in every hierarchy. And who may mount, if only in a user namespace of its own, must have one in every
 * hierarchy of version 1: where it has none, its cgroup namespace begins at the host's root, with the files of all others below it.
 * Else one is made where something is limited, and in version 2, by which a container is frozen and killed: each hierarchy more
 * costs its cgroup, a move and a mount.
 */
function mayMount({ linux, process }: Config): boolean {
  return !linux?.seccomp || (process?.capabilities?.bounding?.includes('CAP_SYS_ADMIN') ?? false);
}

/**
 * Nothing is allowed that neither the bundle nor the defaults allow; the defaults come last, since a container needs them. A user
 * who is not root can neither write device rules nor make devices.
 */
function deviceRules({ linux }: Config, { uid, nested }: Caller): DeviceRule[] {
  if (uid !== 0 || nested) return [];
  const [denyAll, ...defaults] = DEFAULT_DEVICE_RULES as readonly [DeviceRule, ...DeviceRule[]];
  const asked = linux?.resources?.devices ?? [];
  return [denyAll, ...asked.map((rule, i) => ({ ...rule, field: `linux.resources.devices[${i}]` })), ...defaults];
}

/** The container's user, if it has a cgroup namespace of its own and a cgroup file system that it may write to. */
function ownerOf({ linux, mounts = [], process }: Config): number | undefined {
  const namespaces = linux?.namespaces ?? [];
  const isOwn = namespaces.some(({ type, path }) => type === 'cgroup' && !path);
  const mayWrite = mounts.some(
    ({ destination, source, options = [] }) =>
      source === 'cgroup' && /^\/sys\/fs\/cgroup\/*$/.test(destination) && !options.includes('ro'),
  );
  if (!isOwn || !mayWrite) return undefined;
  const uid = process?.user.uid ?? 0;
  if (!namespaces.some(({ type }) => type === 'user')) return uid;
  const mapping = linux?.uidMappings?.find(({ containerID, size }) => uid >= containerID && uid < containerID + size);
  return mapping && mapping.hostID + uid - mapping.containerID;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['EACCES', 'EPERM', 'EROFS', 'ENOENT'].includes(code)) return false;
    throw error;
  }
}
