import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import {
  type CgroupPlan,
  DEFAULT_DEVICE_RULES,
  freezeCgroup,
  killCgroup,
  processesOf,
  removeCgroup,
  removeCgroups,
  thawCgroup,
} from '../../../runtime/kernel/cgroup/index.js';
import { openFds } from '../support.js';
import { SIGKILL_STATUS, startIn, withCgroup } from './with-cgroup.js';

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
