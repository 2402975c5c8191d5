/** Real cgroups of this machine, of whichever layout it has; each test under a name of its own, removed afterwards. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, type TestContext, vi } from 'vitest';
import {
  type CgroupLimits,
  type CgroupPlan,
  DEFAULT_DEVICE_RULES,
  detectCgroups,
  freezeCgroup,
  killCgroup,
  planCgroup,
  processesOf,
  removeCgroup,
  removeCgroups,
  thawCgroup,
} from '../../../runtime/kernel/cgroup/index.js';
import { openFds } from '../support.js';
import { attachPrograms } from './attach.js';

const host = detectCgroups();
const SIGKILL_STATUS = [null, 'SIGKILL'];

/** Does what a plan says, and what stage would do for it. */
async function make({ actions }: CgroupPlan): Promise<void> {
  for (const action of actions) {
    if (action.do === 'mkdir') mkdirSync(action.path, { mode: action.mode, recursive: action.shared });
    else if (action.do === 'write') writeFileSync(action.path, action.value);
    else if (action.do === 'chown') chownSync(action.path, action.uid, -1);
    else await attachPrograms(action.path, action.program);
  }
}

/** A shell that enters as *inside* does, by writing 0, and then runs the script. */
async function startIn(plan: CgroupPlan, script: string): Promise<ChildProcess> {
  const files = [...plan.tasks, ...(plan.procs ? [plan.procs] : [])];
  const enter = files.map((file) => `echo 0 > '${file}'`).join(' && ');
  const child = spawn('/bin/sh', ['-c', `${enter} && echo in && ${script}`], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout ?? child, 'data');
  return child;
}

async function withCgroup(
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

describe('a real cgroup', () => {
  it('limits the number of processes', (ctx) =>
    withCgroup(ctx, { pids: { limit: 3 } }, async (plan) => {
      const child = await startIn(plan, 'i=0; while [ $i -lt 9 ]; do sleep 60 & i=$((i+1)); done; wait');
      // The shell gives up at the fork that is refused, and leaves its two children.
      expect(await once(child, 'exit')).toEqual([2, null]);
      for (const place of plan.places) expect(processesOf([place])).toHaveLength(2);
      const place = plan.places.find(({ controllers }) => controllers.includes('pids'));
      expect(readFileSync(join(place?.directory ?? '', 'pids.events'), 'utf8')).toMatch(/^max 1$/m);
    }));

  it('limits memory: who takes more is killed by the kernel', (ctx) =>
    withCgroup(ctx, { memory: { limit: 16 << 20, swap: 16 << 20 } }, async (plan) => {
      const child = await startIn(plan, 'exec dd if=/dev/zero of=/dev/null bs=100M count=1');
      expect(await once(child, 'exit')).toEqual(SIGKILL_STATUS);
    }));

  it('forbids devices', (ctx) => {
    const forbidden = '/dev/kmsg';
    if (!existsSync(forbidden)) ctx.skip(`there is no ${forbidden} here`);
    closeSync(openSync(forbidden, 'r')); // outside it can be opened
    return withCgroup(ctx, { devices: DEFAULT_DEVICE_RULES }, async (plan) => {
      const allowed = await startIn(plan, ': > /dev/null && exec 3< /dev/zero');
      expect(await once(allowed, 'exit')).toEqual([0, null]);
      const child = await startIn(plan, `exec 3< ${forbidden}`);
      expect(await once(child, 'exit')).toEqual([2, null]);
    });
  });

  it('is in every hierarchy when all are asked for, and a process gets into them all', (ctx) =>
    withCgroup(ctx, { hierarchies: 'all' }, async (plan) => {
      const child = await startIn(plan, 'exec sleep 60');
      const own = readFileSync(`/proc/${child.pid}/cgroup`, 'utf8').trim().split('\n');
      expect(own.filter((line) => /:\/tare-kernel-[^/]*\/x$/.test(line))).toHaveLength(plan.places.length);
    }));
});

describe('a cgroup’s processes', () => {
  const variants = [
    ['all at once', (plan: CgroupPlan) => plan.places],
    // As on a kernel before 5.14, and on a host with version 1 alone.
    ['one by one', (plan: CgroupPlan) => plan.places.filter(({ version }) => version === 1)],
  ] as const;

  it.for(variants)('are killed, with all that they fork: %s', ([, pick], ctx) =>
    withCgroup(ctx, { hierarchies: 'all' }, async (plan) => {
      const places = pick(plan);
      if (places.length === 0) ctx.skip('this machine has no cgroups of version 1');
      const before = openFds();
      const child = await startIn(plan, 'f() { sleep 60 & sleep 60 & wait; }; f & f & trap "" TERM; wait');
      const ended = once(child, 'exit');
      await killCgroup(places, { waitMs: 30_000 });
      expect(await ended).toEqual(SIGKILL_STATUS);
      for (const place of plan.places) expect(processesOf([place])).toEqual([]);
      await vi.waitUntil(() => openFds() <= before, { timeout: 30_000 });
    }),
  );

  it.for(variants)('are frozen and thawed: %s', ([, pick], ctx) =>
    withCgroup(ctx, { hierarchies: 'all' }, async (plan) => {
      const places = pick(plan);
      if (places.length === 0) ctx.skip('this machine has no cgroups of version 1');
      const child = await startIn(plan, 'exec sleep 60');
      const ended = once(child, 'exit');
      await freezeCgroup(places, { waitMs: 30_000 });
      child.kill('SIGTERM');
      await freezeCgroup(places, { waitMs: 30_000 }); // again does no harm; the signal has to wait
      expect(child.exitCode).toBeNull();
      await thawCgroup(places, { waitMs: 30_000 });
      expect(await ended).toEqual([null, 'SIGTERM']);
    }),
  );
});

describe('removing', () => {
  it('takes what is below along, may be repeated, and waits for who is just ending', (ctx) =>
    withCgroup(ctx, {}, async (plan) => {
      for (const { directory } of plan.places) mkdirSync(join(directory, 'inner', 'most'), { recursive: true });
      const child = await startIn(plan, 'exec sleep 60');
      const place = plan.places[0];
      if (!place) throw new Error('a plan without places');
      await expect(removeCgroup(place.directory, place.mountPoint, { waitMs: 5 })).rejects.toMatchObject({
        code: 'busy',
        message: `rmdir("${place.directory}"): EBUSY (the cgroup still has processes)`,
      });
      setTimeout(() => child.kill('SIGKILL'), 10);
      await removeCgroups(plan.places, { waitMs: 30_000 });
      await removeCgroups(plan.places);
      for (const { directory } of plan.places) expect(existsSync(directory)).toBe(false);
    }));

  it.each([
    ['/sys/fs/cgroup/pids', '/sys/fs/cgroup/pids'],
    ['/sys/fs/cgroup/pids/', '/sys/fs/cgroup/pids'],
    ['/sys/fs/cgroup/pids/../memory/x', '/sys/fs/cgroup/pids'],
    ['/sys/fs/cgroup/pids/x/..', '/sys/fs/cgroup/pids'],
    ['/sys/fs/cgroup/pidsx', '/sys/fs/cgroup/pids'],
    ['/tmp/x', '/sys/fs/cgroup/pids'],
    ['x', ''],
  ])('refuses %s in %s', async (directory, mountPoint) => {
    await expect(removeCgroup(directory, mountPoint)).rejects.toMatchObject({ code: 'internal' });
  });
});
