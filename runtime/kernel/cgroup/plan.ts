/**
 * What making a cgroup takes: directories, values, and how the first process gets in. Nothing is done here; it reads what is
 * there (through `CgroupFiles`) and answers with data. Rules: cgroup-v2.rst ("No Internal Process Constraint", "Top-down
 * Constraint"), cgroup-v1/cpusets.rst.
 */
import { join } from 'node:path';
import { TareError } from '../error.js';
import { realCgroupFiles } from './detect.js';
import { realiseLimits, type Setting } from './limits.js';
import { isOffered } from './offered.js';
import { checkCgroupPath, directoryIn, pathSteps } from './path.js';
import type {
  CgroupAction,
  CgroupFiles,
  CgroupHost,
  CgroupPlace,
  CgroupPlan,
  CgroupRequest,
  Hierarchy,
} from './types.js';

/**
 * Plans a new cgroup at `request.path` with its limits.
 * @throws TareError `config` for a path or limits that cannot be, `exists` when there is such a cgroup already.
 */
export function planCgroup(host: CgroupHost, request: CgroupRequest, from: CgroupFiles = realCgroupFiles): CgroupPlan {
  const files = remembering(from);
  const path = checkCgroupPath(request.path);
  const usable = host.hierarchies.filter((hierarchy) => files.isWritable(existingParent(hierarchy, path, files)));
  const blocked = new Map<string, string>();
  const versionOf = (controller: string): 1 | 2 | undefined => {
    // cgroup.max.depth and its like are the core's, not a controller's.
    if (controller === 'cgroup') return usable.some(({ version }) => version === 2) ? 2 : undefined;
    if (controller === 'devices' && takesPrograms(host, usable, request)) return 2;
    const hierarchy = usable.find((candidate) => candidate.controllers.includes(controller));
    if (!hierarchy || (hierarchy.version === 2 && whyNotEnabled(hierarchy, path, controller, files, blocked)))
      return undefined;
    return hierarchy.version;
  };
  const { settings, deviceProgram, unenforced } = realiseLimits(request.limits ?? {}, versionOf);
  const needed = new Set(settings.map((setting) => setting.controller));
  const chosen = usable.filter((hierarchy) => request.hierarchies !== 'needed' || isNeeded(hierarchy, needed, host));

  const actions: CgroupAction[] = [];
  const missing: { field: string; why: string }[] = [];
  for (const hierarchy of chosen) {
    const mine = settings.filter(
      (s) => hierarchy.controllers.includes(s.controller) || (hierarchy.version === 2 && s.controller === 'cgroup'),
    );
    const enabled = hierarchy.version === 2 ? controllersToEnable(hierarchy, request, needed, versionOf) : [];
    actions.push(...directories(hierarchy, path, enabled, mine, files));
    for (const setting of mine) {
      if (isOffered(setting, hierarchy, path, files)) actions.push(asWrite(setting, hierarchy, path));
      else missing.push({ field: setting.field, why: `this kernel has no ${setting.file}` });
    }
    if (hierarchy.version === 2 && deviceProgram) actions.push(asProgram(deviceProgram, hierarchy, path));
  }
  const places = chosen.map((hierarchy) => placeIn(hierarchy, path));
  return {
    places,
    actions,
    ...entranceOf(places),
    unenforced: [
      ...unenforced.map(({ field, why }) => ({ field, why: blocked.get(controllerOf(field)) ?? why })),
      ...missing,
    ],
  };
}

/** How a process gets into a cgroup, a new one or one that is there (`exec`). See `CgroupPlan`. */
export function entranceOf(places: readonly CgroupPlace[]): Pick<CgroupPlan, 'tasks' | 'into' | 'procs'> {
  // `tasks`, not `cgroup.procs`: a thread that moves itself takes no lock that waits for an RCU grace period (0.02 ms, not 6 to 17).
  const tasks = places.filter((place) => place.version === 1).map((place) => join(place.directory, 'tasks'));
  const into = places.find((place) => place.version === 2)?.directory;
  return into === undefined ? { tasks } : { tasks, into, procs: join(into, 'cgroup.procs') };
}

/** Version 2 and the freezer are always wanted: the one to kill and freeze with, the other for it where there is no version 2. */
function isNeeded(hierarchy: Hierarchy, needed: ReadonlySet<string>, host: CgroupHost): boolean {
  if (hierarchy.version === 2) return true;
  if (host.layout === 'v1' && hierarchy.controllers.includes('freezer')) return true;
  return hierarchy.controllers.some((controller) => needed.has(controller));
}

/** mkdir of each directory that is missing, and what must be set on the way down for the last one to be of use. */
function directories(
  hierarchy: Hierarchy,
  path: string,
  enabled: readonly string[],
  mine: readonly Setting[],
  files: CgroupFiles,
): CgroupAction[] {
  const actions: CgroupAction[] = [];
  const steps = pathSteps(hierarchy, path);
  const field = 'linux.cgroupsPath';
  let parent = baseOf(hierarchy, path);
  for (const [i, directory] of steps.entries()) {
    const last = i === steps.length - 1;
    const there = files.isDirectory(directory);
    if (there && last)
      throw new TareError(
        'exists',
        `the cgroup ${directory} exists already: another container’s, or left behind by one`,
        { path: directory },
      );
    if (hierarchy.version === 2) actions.push(...enable(parent, enabled, files));
    if (!there) {
      const why = last ? `the container’s cgroup (${describe(hierarchy)})` : 'the parent of containers’ cgroups';
      actions.push({ do: 'mkdir', path: directory, mode: 0o755, shared: !last, field, why });
    }
    if (hierarchy.version === 1 && hierarchy.controllers.includes('cpuset'))
      actions.push(...inheritCpuset(hierarchy, directory, last ? mine : [], files));
    parent = directory;
  }
  return actions;
}

/** Version 2: a controller works in a cgroup when all its ancestors enable it for their children. */
function enable(parent: string, controllers: readonly string[], files: CgroupFiles): CgroupAction[] {
  const already = words(files.read(join(parent, 'cgroup.subtree_control')));
  const value = controllers
    .filter((name) => !already.includes(name))
    .map((name) => `+${name}`)
    .join(' ');
  if (value === '') return [];
  const why = 'a controller works where every ancestor enables it';
  return [{ do: 'write', path: join(parent, 'cgroup.subtree_control'), value, field: 'linux.resources', why }];
}

/** Version 1: a new cpuset is empty, and no process can enter an empty one (ENOSPC), so it takes over its ancestor's. */
function inheritCpuset(
  hierarchy: Hierarchy,
  directory: string,
  settings: readonly Setting[],
  files: CgroupFiles,
): CgroupAction[] {
  return ['cpuset.cpus', 'cpuset.mems'].flatMap((file): CgroupAction[] => {
    if (settings.some((setting) => setting.file === file)) return [];
    if (files.read(join(directory, file))?.trim()) return [];
    const value = nearest(hierarchy, directory, file, files);
    const why = 'a new cpuset is empty, and nothing can enter an empty one';
    return [{ do: 'write', path: join(directory, file), value, field: 'linux.cgroupsPath', why }];
  });
}

function nearest(hierarchy: Hierarchy, directory: string, file: string, files: CgroupFiles): string {
  for (let folder = directory; folder.startsWith(hierarchy.mountPoint); folder = join(folder, '..')) {
    const value = files.read(join(folder, file))?.trim();
    if (value) return value;
    if (folder === hierarchy.mountPoint) break;
  }
  throw new TareError('unsupported', `no ${file} above ${directory}: the cpuset hierarchy is not set up`, {
    path: directory,
  });
}

function controllersToEnable(
  hierarchy: Hierarchy,
  request: CgroupRequest,
  needed: ReadonlySet<string>,
  versionOf: (name: string) => 1 | 2 | undefined,
): string[] {
  // With `all`, what is counted for every container, limited or not: processor time, memory, processes, disk.
  const counted = request.hierarchies === 'needed' ? [] : ['cpu', 'io', 'memory', 'pids'];
  return hierarchy.controllers.filter((name) => (needed.has(name) || counted.includes(name)) && versionOf(name) === 2);
}

/** Why a controller cannot be had at this path of version 2; undefined when it can. Remembers the reason. */
function whyNotEnabled(
  hierarchy: Hierarchy,
  path: string,
  controller: string,
  files: CgroupFiles,
  blocked: Map<string, string>,
): string | undefined {
  const base = baseOf(hierarchy, path);
  const has = (file: string) => words(files.read(join(base, file)));
  if (has('cgroup.subtree_control').includes(controller)) return undefined;
  let why: string | undefined;
  if (!has('cgroup.controllers').includes(controller))
    why = `the controller ${controller} has not been delegated to the cgroup ${base}`;
  else if (files.read(join(base, 'cgroup.type')) !== undefined && has('cgroup.procs').length > 0)
    // Only the root is free of this rule, and only the root has no cgroup.type.
    why = `the cgroup ${base} holds processes itself, and version 2 then lets it enable no controller for children; start Tare in a scope of its own: systemd-run --scope -p Delegate=yes`;
  if (why) blocked.set(controller, why);
  return why;
}

function placeIn(hierarchy: Hierarchy, path: string): CgroupPlace {
  const { version, controllers, mountPoint } = hierarchy;
  return { version, controllers, mountPoint, directory: directoryIn(hierarchy, path) };
}

/** On a hybrid host too, but only where no version 1 hierarchy has the controller: one of the two is enough. */
function takesPrograms(host: CgroupHost, usable: readonly Hierarchy[], { devicePrograms }: CgroupRequest): boolean {
  return (
    devicePrograms !== false &&
    usable.some(({ version }) => version === 2) &&
    !host.hierarchies.some(({ version, controllers }) => version === 1 && controllers.includes('devices'))
  );
}

function asProgram(program: Uint8Array, hierarchy: Hierarchy, path: string): CgroupAction {
  return {
    do: 'device-program',
    path: directoryIn(hierarchy, path),
    program,
    field: 'linux.resources.devices',
    why: 'version 2 has no device controller: a program decides which devices may be opened',
  };
}

function asWrite(setting: Setting, hierarchy: Hierarchy, path: string): CgroupAction {
  const { file, value, field } = setting;
  return {
    do: 'write',
    path: join(directoryIn(hierarchy, path), file),
    value,
    field,
    why: `cgroup version ${hierarchy.version}`,
  };
}

function existingParent(hierarchy: Hierarchy, path: string, files: CgroupFiles): string {
  const there = pathSteps(hierarchy, path).filter((directory) => files.isDirectory(directory));
  return there.at(-1) ?? baseOf(hierarchy, path);
}

function baseOf(hierarchy: Hierarchy, path: string): string {
  return path.startsWith('/') ? hierarchy.mountPoint : hierarchy.own;
}

function controllerOf(field: string): string {
  const [, , part = '', name = ''] = field.split('.');
  return part === 'cpu' && ['cpus', 'mems'].includes(name) ? 'cpuset' : part;
}

function describe(hierarchy: Hierarchy): string {
  return hierarchy.version === 2 ? 'version 2' : hierarchy.controllers.join(',');
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter(Boolean);
}

/** Asks each question once: the answers are of one moment, and most are asked for several hierarchies or files. */
function remembering(files: CgroupFiles): CgroupFiles {
  const remember = <T>(ask: (path: string) => T) => {
    const known = new Map<string, T>();
    return (path: string): T => {
      if (!known.has(path)) known.set(path, ask(path));
      return known.get(path) as T;
    };
  };
  return {
    read: remember((path) => files.read(path)),
    isDirectory: remember((path) => files.isDirectory(path)),
    isWritable: remember((path) => files.isWritable(path)),
  };
}
