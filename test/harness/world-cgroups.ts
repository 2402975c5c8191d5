/** The cgroups of a world: one in each hierarchy that this machine has. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CGROUPS, foldersBelow } from './world-contents.js';

/** For what ends by itself: a busy machine takes its time. */
export const LIMIT_MS = 30_000;

/** Where cgroups are mounted: each v1 hierarchy and cgroup2. */
export function cgroupHierarchies(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] as string)
    .filter((path) => path.startsWith(CGROUPS));
}

export function makeCgroup(path: string): void {
  mkdirSync(path, { recursive: true });
  // A new cpuset cgroup takes no process until it has processors and memory nodes.
  const parent = join(path, '..');
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (existsSync(join(path, file)) && existsSync(join(parent, file)))
      writeFileSync(join(path, file), readFileSync(join(parent, file)));
  }
}

export async function removeCgroup(path: string): Promise<void> {
  for (const folder of foldersBelow(path).reverse().concat(path)) {
    for (const deadline = Date.now() + LIMIT_MS; existsSync(folder); ) {
      try {
        rmdirSync(folder);
      } catch (error) {
        if (Date.now() > deadline) throw error; // the kernel says EBUSY until the last process is gone for good
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
  }
}
