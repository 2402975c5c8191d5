/**
 * Before and after all tests: cgroups that they have made and that hold nobody go. The parents of containers' cgroups stay when the containers
 * go, as users expect; a relative cgroupsPath makes others below our own; and who is killed cleans nothing up. cgroups(7), "Removing cgroups"
 */
import { type Dirent, existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupHierarchies } from './world-cgroups.js';

const PARENT = 'tare';
/** As `makeWorld` names them. */
const WORLD = /^tare-test-.+-(\d+)-[0-9a-f]{8}$/;

export default function setup(): () => void {
  sweep((maker) => !existsSync(`/proc/${maker}`));
  // Our own workers have done their tests, and may not have ended yet.
  return () => sweep((maker) => parentOf(maker) === undefined || parentOf(maker) === process.pid);
}

function sweep(isDone: (maker: string) => boolean): void {
  for (const hierarchy of cgroupHierarchies()) {
    for (const path of foldersBelow(hierarchy)) if (isLeft(path.slice(hierarchy.length + 1), isDone)) removeEmpty(path);
  }
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Deepest first: what is within one that has been left was left too. */
function foldersBelow(folder: string): string[] {
  return entriesOf(folder)
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [...foldersBelow(join(folder, name)), join(folder, name)]);
}

/** None of a folder that another run has just removed. */
function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function isLeft(path: string, isDone: (maker: string) => boolean): boolean {
  if (path === PARENT) return true;
  const makers = path.split('/').flatMap((part) => WORLD.exec(part)?.[1] ?? []);
  return makers.some(isDone);
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    // Somebody is in it, or another run was faster.
    if (!['EBUSY', 'ENOTEMPTY', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
