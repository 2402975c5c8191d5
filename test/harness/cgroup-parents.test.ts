/** Cgroups of runs that were killed go with the next run; those that are in use stay. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import sweepNow from './cgroup-parents.js';
import { cgroupHierarchies } from './world-cgroups.js';

it('a cgroup goes once who made it has ended, with what is below it', (context) => {
  if (process.geteuid?.() !== 0) context.skip('only root makes cgroups here');
  const hierarchy = cgroupHierarchies()[0];
  if (hierarchy === undefined) return context.skip('this machine has no cgroups');
  const ended = spawnSync('true').pid;
  const name = (pid: number) => join(hierarchy, `tare-test-sweep-${pid}-00c0ffee`);
  const [left, used] = [name(ended), name(process.pid)];
  try {
    mkdirSync(join(left, 'below'), { recursive: true });
    mkdirSync(used);
    sweepNow();
    expect([existsSync(left), existsSync(used)]).toEqual([false, true]);
  } finally {
    for (const path of [join(left, 'below'), left, used]) if (existsSync(path)) rmdirSync(path);
  }
});
