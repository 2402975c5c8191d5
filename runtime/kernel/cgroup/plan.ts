/**
 * What making a cgroup takes: directories, values, and how the first process gets in. Nothing is done here; it reads what is
 * there (through `CgroupFiles`) and answers with data. cgroups(7); cgroup-v2.rst; cgroup-v1/*.rst.
 */
import { join } from 'node:path';
import { enableControllers, whyNotEnabled } from './controllers.js';
import { delegateTo } from './delegate.js';
import { realCgroupFiles } from './detect.js';
import { makeDirectories } from './directories.js';
import { realiseLimits } from './limits.js';
import { isOffered } from './offered.js';
import { checkCgroupPath, directoryIn, pathSteps, stepBase } from './path.js';
import { firstOffered, type Setting } from './setting.js';
import type {
  CgroupAction,
  CgroupFiles,
  CgroupHost,
  CgroupPlace,
  CgroupPlan,
  CgroupRequest,
  Hierarchy,
  Unrealised,
} from './types.js';

/**
 * Plans a cgroup at `request.path` with its limits: a new one, or one that is there and unused.
 * @throws TareError `config` for a path or limits that cannot be, `exists` when somebody uses such a cgroup already.
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
    const why =
      hierarchy?.version === 2 && !request.inScope ? whyNotEnabled(hierarchy, path, controller, files) : undefined;
    if (why !== undefined) blocked.set(controller, why);
    return why === undefined ? hierarchy?.version : undefined;
  };
  const realised = realiseLimits(request.limits ?? {}, versionOf);
  const needed = new Set(realised.settings.map((setting) => setting.controller));
  const chosen = usable.filter((hierarchy) => request.hierarchies !== 'needed' || isNeeded(hierarchy, needed, host));

  const actions: CgroupAction[] = [];
  const missing: Unrealised[] = [];
  for (const hierarchy of chosen) {
    const mine = realised.settings
      .filter(
        (s) => hierarchy.controllers.includes(s.controller) || (hierarchy.version === 2 && s.controller === 'cgroup'),
      )
      .flatMap((setting) => offered(setting, hierarchy));
    const managed = request.inScope === true && isOfSystemd(hierarchy);
    const here = hierarchy.controllers.filter((name) => hierarchy.version === 2 && versionOf(name) === 2);
    const directories = () =>
      makeDirectories(
        {
          hierarchy,
          path,
          needed: here.filter((name) => needed.has(name)),
          // With `all`, what is counted for every container, limited or not, and may be limited later.
          counted: request.hierarchies === 'needed' ? [] : here,
          settings: mine,
        },
        files,
      );
    const own: CgroupAction[] = [
      ...(managed
        ? enableAbove(
            hierarchy,
            path,
            here.filter((name) => needed.has(name)),
            files,
          )
        : directories()),
      ...mine.map((setting) => asWrite(setting, hierarchy, path)),
    ];
    if (hierarchy.version === 2) {
      const directory = directoryIn(hierarchy, path);
      if (realised.deviceProgram) own.push(asProgram(realised.deviceProgram, directory));
      if (request.owner !== undefined && host.layout === 'v2') own.push(...delegateTo(request.owner, directory, files));
    }
    actions.push(...(managed ? own.map((action) => ({ ...action, inScope: true })) : own));
  }
  const places = chosen.map((hierarchy) => placeIn(hierarchy, path));
  return {
    places,
    actions,
    ...entranceOf(request.inScope ? places.filter((place) => !isOfSystemd(place)) : places),
    unenforced: [
      ...realised.unenforced.map(({ field, why, controller = '' }) => ({ field, why: blocked.get(controller) ?? why })),
      ...missing,
    ],
    ignored: realised.ignored,
  };

  function offered(setting: Setting, hierarchy: Hierarchy): Setting[] {
    const found = firstOffered(setting, (one) => isOffered(one, hierarchy, path, files));
    if (found === undefined)
      missing.push({ field: setting.field, why: `this kernel has no ${lastChoice(setting).file}` });
    return found === undefined || found === 'nothing' ? [] : [found];
  }
}

/** systemd enables for a scope the controllers that it knows; others (huge pages, RDMA) are ours to enable. */
function enableAbove(hierarchy: Hierarchy, path: string, names: readonly string[], files: CgroupFiles): CgroupAction[] {
  const parents = [stepBase(hierarchy, path), ...pathSteps(hierarchy, path).slice(0, -1)];
  return parents.flatMap((parent) => enableControllers(parent, names, [], files));
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

/** systemd manages version 2, or, where it uses version 1, the hierarchy by its name, beside which version 2 goes along. */
function isOfSystemd({ version, controllers }: Pick<Hierarchy, 'version' | 'controllers'>): boolean {
  return version === 2 || controllers.includes('name=systemd');
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

function asProgram(program: Uint8Array, directory: string): CgroupAction {
  return {
    do: 'device-program',
    path: directory,
    program,
    field: 'linux.resources.devices',
    why: 'version 2 has no device controller: a program decides which devices may be opened',
  };
}

function asWrite({ file, value, field }: Setting, hierarchy: Hierarchy, path: string): CgroupAction {
  const why = `cgroup version ${hierarchy.version}`;
  return { do: 'write', path: join(directoryIn(hierarchy, path), file), value, field, why };
}

function lastChoice(setting: Setting): Setting {
  return typeof setting.otherwise === 'object' ? lastChoice(setting.otherwise) : setting;
}

function existingParent(hierarchy: Hierarchy, path: string, files: CgroupFiles): string {
  const there = pathSteps(hierarchy, path).filter((directory) => files.isDirectory(directory));
  return there.at(-1) ?? stepBase(hierarchy, path);
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
