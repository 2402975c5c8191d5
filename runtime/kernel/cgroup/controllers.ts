/**
 * Which controllers a cgroup of version 2 can have, and what turns them on: each ancestor must enable them for its children, and
 * none that holds processes itself can. cgroup-v2.rst, "Top-down Constraint", "No Internal Process Constraint".
 */
import { join } from 'node:path';
import { pathSteps, stepBase } from './path.js';
import type { CgroupAction, CgroupFiles, Hierarchy } from './types.js';

/** Why a controller cannot be had at this path; undefined when it can. */
export function whyNotEnabled(
  hierarchy: Hierarchy,
  path: string,
  controller: string,
  files: CgroupFiles,
): string | undefined {
  const base = stepBase(hierarchy, path);
  if (
    !enabled(base, files).includes(controller) &&
    !words(files.read(join(base, 'cgroup.controllers'))).includes(controller)
  )
    return `the controller ${controller} has not been delegated to the cgroup ${base}`;
  for (const parent of [base, ...pathSteps(hierarchy, path).slice(0, -1)]) {
    if (!files.isDirectory(parent)) return undefined; // and so are those below: new, and without processes
    if (enabled(parent, files).includes(controller)) continue;
    // Only the root is free of this rule, and only the root has no cgroup.type.
    if (files.read(join(parent, 'cgroup.type')) === undefined) continue;
    if (words(files.read(join(parent, 'cgroup.procs'))).length > 0)
      return `the cgroup ${parent} holds processes itself, and version 2 then lets it enable no controller for children; start Tare in a scope of its own: systemd-run --scope -p Delegate=yes`;
  }
  return undefined;
}

/**
 * Enables controllers for a cgroup's children.
 * @param needed in one write, which must succeed
 * @param counted each by itself: a kernel may refuse one (cpu, while real-time processes run)
 */
export function enableControllers(
  parent: string,
  needed: readonly string[],
  counted: readonly string[],
  files: CgroupFiles,
): CgroupAction[] {
  const already = enabled(parent, files);
  const missing = (names: readonly string[]) =>
    names.filter((name) => !already.includes(name)).map((name) => `+${name}`);
  const write = (value: string) => ({
    do: 'write' as const,
    path: join(parent, 'cgroup.subtree_control'),
    value,
    field: 'linux.resources',
    why: 'a controller works where every ancestor enables it',
  });
  const all = missing(needed).join(' ');
  return [
    ...(all === '' ? [] : [write(all)]),
    ...missing(counted.filter((name) => !needed.includes(name))).map((value) => ({ ...write(value), optional: true })),
  ];
}

function enabled(directory: string, files: CgroupFiles): string[] {
  return words(files.read(join(directory, 'cgroup.subtree_control')));
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter(Boolean);
}
