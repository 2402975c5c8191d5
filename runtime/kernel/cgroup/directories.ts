/**
 * The directories of a new cgroup, and what must be set on the way down for the last one to be of use. One that is there already is
 * taken over when nobody is in it: engines make it beforehand. cgroups(7); cgroup-v1/cpusets.rst; runtime-spec: config-linux.md.
 */
import { join } from 'node:path';
import { TareError } from '../error.js';
import { enableControllers } from './controllers.js';
import { keyedValue } from './files.js';
import { pathSteps, stepBase } from './path.js';
import type { Setting } from './setting.js';
import type { CgroupAction, CgroupFiles, Hierarchy } from './types.js';

export interface DirectoriesOf {
  readonly hierarchy: Hierarchy;
  /** Checked. */
  readonly path: string;
  /** Controllers that something is limited by, and those that only count. */
  readonly needed: readonly string[];
  readonly counted: readonly string[];
  /** What will be set in the last directory. */
  readonly settings: readonly Setting[];
}

/** @throws TareError `exists` when somebody is in the cgroup, or it is frozen */
export function makeDirectories(
  { hierarchy, path, needed, counted, settings }: DirectoriesOf,
  files: CgroupFiles,
): CgroupAction[] {
  const actions: CgroupAction[] = [];
  const steps = pathSteps(hierarchy, path);
  const field = 'linux.cgroupsPath';
  let parent = stepBase(hierarchy, path);
  for (const [i, directory] of steps.entries()) {
    const last = i === steps.length - 1;
    const there = files.isDirectory(directory);
    if (there && last) checkUnused(hierarchy, directory, files);
    if (hierarchy.version === 2) actions.push(...enableControllers(parent, needed, counted, files));
    if (!there) {
      const why = last ? `the container’s cgroup (${describe(hierarchy)})` : 'the parent of containers’ cgroups';
      actions.push({ do: 'mkdir', path: directory, mode: 0o755, shared: !last, field, why });
    }
    if (hierarchy.version === 1 && hierarchy.controllers.includes('cpuset'))
      actions.push(...inheritCpuset(hierarchy, directory, last ? settings : [], files));
    parent = directory;
  }
  return actions;
}

function checkUnused(hierarchy: Hierarchy, directory: string, files: CgroupFiles): void {
  const refuse = (why: string): never => {
    throw new TareError('exists', `container's cgroup ${why}: ${directory}`, { path: directory });
  };
  const events = files.read(join(directory, 'cgroup.events'));
  const isPopulated =
    keyedValue(events, 'populated') === '1' || (files.read(join(directory, 'cgroup.procs')) ?? '').trim() !== '';
  if (isPopulated) refuse('is not empty, another container or process is in it');
  const isFrozen =
    keyedValue(events, 'frozen') === '1' ||
    (hierarchy.controllers.includes('freezer') && files.read(join(directory, 'freezer.state'))?.trim() === 'FROZEN');
  if (isFrozen) refuse('unexpectedly frozen');
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

function describe(hierarchy: Hierarchy): string {
  return hierarchy.version === 2 ? 'version 2' : hierarchy.controllers.join(',');
}
