/**
 * Before and after all tests: cgroups that they have made and that hold nobody go. The parents of containers' cgroups stay when the containers
 * go, as users expect; a relative cgroupsPath makes others below our own; and who is killed cleans nothing up. cgroups(7), "Removing cgroups"
 */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupHierarchies } from './world.js';

const PARENT = 'tare';
/** As `makeWorld` names them. */
const WORLD = /^tare-test-.+-(\d+)-[0-9a-f]{8}$/;

export default function setup(): () => void {
  sweep();
  return sweep;
}

function sweep(): void {
  for (const hierarchy of cgroupHierarchies()) {
    for (const path of foldersBelow(hierarchy)) if (isLeft(path, hierarchy)) removeEmpty(path);
  }
}

/** Deepest first: what is within one that has been left was left too. */
function foldersBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [...foldersBelow(join(folder, name)), join(folder, name)]);
}

function isLeft(path: string, hierarchy: string): boolean {
  const parts = path.slice(hierarchy.length + 1).split('/');
  if (parts.length === 1 && parts[0] === PARENT) return true;
  const maker = parts.map((part) => WORLD.exec(part)?.[1]).find((pid) => pid !== undefined);
  return maker !== undefined && !existsSync(`/proc/${maker}`);
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    // Somebody is in it, or another run was faster.
    if (!['EBUSY', 'ENOTEMPTY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
