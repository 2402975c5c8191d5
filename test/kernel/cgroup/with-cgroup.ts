/** Cgroups of this machine, of whichever layout it has, for a test: made by a plan, entered by a shell, and removed afterwards. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext } from 'vitest';
import {
  type CgroupLimits,
  type CgroupPlan,
  detectCgroups,
  killCgroup,
  planCgroup,
  removeCgroups,
} from '../../../runtime/kernel/cgroup/index.js';
import { attachPrograms } from './attach.js';

const host = detectCgroups();
export const SIGKILL_STATUS = [null, 'SIGKILL'];

/** Does what a plan says, and what stage would do for it. */
async function make({ actions }: CgroupPlan): Promise<void> {
  for (const action of actions) {
    if (action.do === 'mkdir') mkdirSync(action.path, { mode: action.mode, recursive: action.shared });
    else if (action.do === 'write') write(action.path, action.value, action.optional ?? false);
    else if (action.do === 'chown') chownSync(action.path, action.uid, -1);
    else await attachPrograms(action.path, action.program);
  }
}

function write(path: string, value: string, optional: boolean): void {
  try {
    writeFileSync(path, value);
  } catch (error) {
    if (!optional || !['EINVAL', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** A shell that enters as *inside* does, by writing 0, and then runs the script. */
export async function startIn(plan: CgroupPlan, script: string): Promise<ChildProcess> {
  const files = [...plan.tasks, ...(plan.procs ? [plan.procs] : [])];
  const enter = files.map((file) => `echo 0 > '${file}'`).join(' && ');
  const child = spawn('/bin/sh', ['-c', `${enter} && echo in && ${script}`], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout ?? child, 'data');
  return child;
}

export async function withCgroup(
  ctx: TestContext,
  { hierarchies = 'needed', ...limits }: CgroupLimits & { hierarchies?: 'all' | 'needed' },
  act: (plan: CgroupPlan) => Promise<void>,
): Promise<void> {
  const parent = `/tare-kernel-${process.pid}-${randomBytes(4).toString('hex')}`;
  const plan = planCgroup(host, { path: `${parent}/x`, limits, hierarchies });
  if (plan.places.length === 0) ctx.skip('no cgroup may be made here');
  if (plan.unenforced.length > 0) ctx.skip(`limits cannot be set here: ${plan.unenforced[0]?.why}`);
  try {
    await make(plan);
    await act(plan);
  } finally {
    await killCgroup(plan.places, { waitMs: 30_000 });
    await removeCgroups(
      plan.places.map((place) => ({ ...place, directory: join(place.directory, '..') })),
      {
        waitMs: 30_000,
      },
    );
    for (const { directory } of plan.places) expect(existsSync(join(directory, '..'))).toBe(false);
  }
}
