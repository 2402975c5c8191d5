/** Cgroups that are in use: changing their limits, counting, signalling, and being told of out-of-memory. On real ones, as they are here. */
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  type CgroupLimits,
  type CgroupPlace,
  type CgroupPlan,
  cgroupStats,
  cgroupsToJoin,
  freezeCgroup,
  isFrozen,
  killCgroup,
  mergeLimits,
  oomEvents,
  processesOf,
  realCgroupFiles,
  signalCgroup,
  subCgroup,
  thawCgroup,
  updateCgroup,
} from '../../../runtime/kernel/cgroup/index.js';
import { exactJson } from '../../../runtime/kernel/exact-json.js';
import { parseSignal, SIGKILL } from '../../../runtime/kernel/signals.js';
import { failureOf } from '../support.js';
import { SIGKILL_STATUS, startIn, withCgroup } from './with-cgroup.js';

const M = 2 ** 20;
const SIGUSR1 = parseSignal('USR1');
const SIGTERM = parseSignal('TERM');
const placeOf = (places: readonly CgroupPlace[], controller: string): CgroupPlace => {
  const place = places.find(({ version, controllers }) => version === 1 && controllers.includes(controller));
  const found = place ?? places.find(({ version }) => version === 2);
  if (!found) throw new Error(`no place has ${controller}`);
  return found;
};
/** A value, by the names of version 1 and 2. */
const value = (places: readonly CgroupPlace[], controller: string, one: string, two: string): string => {
  const place = placeOf(places, controller);
  return readFileSync(join(place.directory, place.version === 1 ? one : two), 'utf8').trim();
};

describe('an update', () => {
  const begin: CgroupLimits = {
    memory: { limit: 32 * M, swap: 48 * M },
    cpu: { quota: 20_000, period: 50_000 },
    pids: { limit: 20 },
  };
  const memory = ({ places }: CgroupPlan) => Number(value(places, 'memory', 'memory.limit_in_bytes', 'memory.max'));

  it('raises memory above the old sum of memory and swap, and lowers it again', (ctx) =>
    withCgroup(ctx, begin, async (plan) => {
      const { places } = plan;
      updateCgroup(places, { memory: { limit: 64 * M, swap: 96 * M } }, begin);
      expect(memory(plan)).toBe(64 * M);
      const after = mergeLimits(begin, { memory: { limit: 64 * M, swap: 96 * M } });
      updateCgroup(places, { memory: { limit: 16 * M, swap: 16 * M } }, after);
      expect(memory(plan)).toBe(16 * M);
      updateCgroup(places, { memory: { limit: -1 } }, after);
      expect(memory(plan) > 2 ** 60 || Number.isNaN(memory(plan))).toBe(true);
    }));

  it('keeps the period with a new quota, and changes what has no part in it not at all', (ctx) =>
    withCgroup(ctx, begin, async (plan) => {
      const cpu = () => {
        const [quota, period = ''] = value(plan.places, 'cpu', 'cpu.cfs_quota_us', 'cpu.max').split(' ');
        return [quota, period || value(plan.places, 'cpu', 'cpu.cfs_period_us', 'cpu.max')];
      };
      updateCgroup(plan.places, { cpu: { quota: 10_000 } }, begin);
      expect(cpu()).toEqual(['10000', '50000']);
      updateCgroup(plan.places, { cpu: { period: 100_000 } }, mergeLimits(begin, { cpu: { quota: 10_000 } }));
      expect(cpu()).toEqual(['10000', '100000']);
      updateCgroup(plan.places, { pids: { limit: -1 } }, begin);
      expect(value(plan.places, 'pids', 'pids.max', 'pids.max')).toBe('max');
      expect([memory(plan), cpu()]).toEqual([32 * M, ['10000', '100000']]);
    }));

  it('that the kernel refuses leaves all as it was', (ctx) =>
    withCgroup(ctx, begin, async (plan) => {
      const change: CgroupLimits = { pids: { limit: 5 }, memory: { limit: 40 * M }, cpu: { period: 1, quota: 1 } };
      const { code, syscall } = failureOf(() => updateCgroup(plan.places, change, begin));
      expect([code, syscall?.errno]).toEqual(['system-call', 'EINVAL']);
      expect(value(plan.places, 'pids', 'pids.max', 'pids.max')).toBe('20');
      expect(memory(plan)).toBe(32 * M);
    }));

  it('below what is in use is refused where that is asked for', (ctx) =>
    withCgroup(ctx, begin, async (plan) => {
      const child = await startIn(plan, 'exec sleep 60');
      const change: CgroupLimits = { memory: { limit: 1, swap: 1, checkBeforeUpdate: true } };
      expect(failureOf(() => updateCgroup(plan.places, change, begin))).toMatchObject({
        code: 'config',
        path: 'linux.resources.memory.swap',
        message: expect.stringMatching(/^rejecting memory.swap 1: \d+ bytes are in use$/),
      });
      child.kill('SIGKILL');
    }));

  it('of a controller that the container has no cgroup of is refused by name', () => {
    expect(failureOf(() => updateCgroup([], { pids: { limit: 1 } }))).toMatchObject({
      code: 'unsupported',
      message: 'linux.resources.pids.limit cannot be changed here: no cgroup has the controller pids here',
    });
  });
});

describe('limits merged with a change', () => {
  it('keep what is not named, list by list, and drop swap with memory', () => {
    const before: CgroupLimits = {
      memory: { limit: 5, swap: 9, reservation: 3 },
      cpu: { shares: 2 },
      pids: { limit: 7 },
    };
    expect(mergeLimits(before, { memory: { limit: -1 }, cpu: { cpus: '0' } })).toEqual({
      memory: { limit: -1, swap: -1, reservation: 3 },
      cpu: { shares: 2, cpus: '0' },
      pids: { limit: 7 },
    });
  });
});

describe('what is counted', () => {
  const limits: CgroupLimits = { memory: { limit: 64 * M, swap: 64 * M }, pids: { limit: 9 }, cpu: { quota: 50_000 } };

  it('is what the kernel says, in the shape of runc events', (ctx) =>
    withCgroup(ctx, { ...limits, hierarchies: 'all' }, async (plan) => {
      const child = await startIn(plan, 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; exec sleep 60');
      await once(child.stdout ?? child, 'data');
      const stats = cgroupStats(plan.places);
      expect(stats).toMatchObject({
        memory: { usage: { limit: 64 * M, failcnt: expect.any(Number) }, kernelTCP: {}, raw: expect.any(Object) },
        pids: { current: 1, limit: 9 },
        intel_rdt: {},
        network_interfaces: null,
      });
      expect(Number(stats.cpu.usage.total)).toBeGreaterThan(1_000_000);
      expect(Number(stats.memory.usage.usage)).toBeGreaterThan(4096);
      expect(JSON.parse(exactJson(stats))).toMatchObject({ pids: { current: 1, limit: 9 } });
      child.kill('SIGKILL');
    }));

  it('has the kernel’s largest numbers to the digit', () => {
    expect(exactJson({ limit: 2n ** 64n - 1n, list: [1, 'a"', null, undefined], no: undefined, yes: true })).toBe(
      '{"limit":18446744073709551615,"list":[1,"a\\"",null,null],"yes":true}',
    );
  });

  it('is nothing where there is no cgroup', () => {
    const gone = [{ version: 2, controllers: [], mountPoint: '/sys/fs/cgroup', directory: '/nowhere/x' }] as const;
    expect(cgroupStats(gone)).toMatchObject({ cpu: { usage: { kernel: 0, user: 0 } }, pids: {}, blkio: {} });
  });
});

/** Whether the process has a handler of SIGUSR1. */
function catchesUsr1(pid: number): boolean {
  const caught = /^SigCgt:\s+(\S+)$/m.exec(statusOf(pid))?.[1] ?? '0';
  return (BigInt(`0x${caught}`) & (1n << BigInt(SIGUSR1 - 1))) !== 0n;
}

function nameOf(pid: number): string {
  return /^Name:\s+(.*)$/m.exec(statusOf(pid))?.[1] ?? '';
}

/** It may have ended meanwhile. */
function statusOf(pid: number): string {
  return realCgroupFiles.read(`/proc/${pid}/status`) ?? '';
}

describe('a signal', () => {
  const variants = [
    ['with version 2', (plan: CgroupPlan) => plan.places],
    ['with version 1 alone', (plan: CgroupPlan) => plan.places.filter(({ version }) => version === 1)],
  ] as const;

  it.for(variants)('reaches all processes, and a frozen container stays so: %s', ([, pick], ctx) =>
    withCgroup(ctx, { hierarchies: 'all' }, async (plan) => {
      const places = pick(plan);
      if (places.length === 0) ctx.skip('this machine has no cgroups of version 1');
      const inner = `sh -c 'trap "echo inner" USR1; sleep 60 & wait'`;
      const child = await startIn(plan, `trap 'echo outer' USR1; ${inner} & wait; sleep 60 & wait`);
      let heard = '';
      child.stdout?.on('data', (data) => {
        heard += data;
      });
      // Two shells that wait, and a program that knows nothing of signals.
      const isReady = () => {
        const names = processesOf(places).map((pid) => (catchesUsr1(pid) ? 'waits' : nameOf(pid)));
        return names.sort().join() === 'sleep,waits,waits';
      };
      while (!isReady()) await sleep(10);
      await freezeCgroup(places);
      expect(isFrozen(places)).toBe(true);
      expect(await signalCgroup(places, SIGUSR1)).toBe(3);
      expect(isFrozen(places)).toBe(true);
      expect(heard).toBe('');
      await thawCgroup(places);
      expect(isFrozen(places)).toBe(false);
      while (!(heard.includes('inner') && heard.includes('outer'))) await sleep(10);
      const ended = once(child, 'exit');
      expect(await signalCgroup(places, SIGTERM)).toBeGreaterThanOrEqual(1);
      expect(await ended).toEqual([null, 'SIGTERM']);
      // Some may be on their way out by themselves.
      await signalCgroup(places, SIGKILL);
      while (processesOf(places).length > 0) await sleep(10);
    }),
  );

  it.for(variants)('SIGKILL ends also those that are frozen: %s', ([, pick], ctx) =>
    withCgroup(ctx, { hierarchies: 'all' }, async (plan) => {
      const places = pick(plan);
      if (places.length === 0) ctx.skip('this machine has no cgroups of version 1');
      const child = await startIn(plan, '{ sleep 60 & exec sleep 60; }');
      const ended = once(child, 'exit');
      await freezeCgroup(places);
      await signalCgroup(places, SIGKILL);
      expect(await ended).toEqual(SIGKILL_STATUS);
      await killCgroup(places);
      expect(processesOf(plan.places)).toEqual([]);
    }),
  );
});

describe('the freezer of version 1', () => {
  const freezerOf = ({ places }: CgroupPlan) =>
    places.find(({ version, controllers }) => version === 1 && controllers.includes('freezer'))?.directory;
  const set = (directory: string, state: string) => writeFileSync(join(directory, 'freezer.state'), state);

  it('does not keep who has been killed, where the container has frozen a cgroup of its own', (ctx) =>
    withCgroup(ctx, { hierarchies: 'all' }, async (plan) => {
      const freezer = freezerOf(plan);
      if (!freezer) return ctx.skip('this machine has no freezer of version 1');
      const child = await startIn(plan, 'exec sleep 60');
      const ended = once(child, 'exit');
      mkdirSync(join(freezer, 'a/b'), { recursive: true });
      writeFileSync(join(freezer, 'a/b/cgroup.procs'), String(child.pid));
      set(join(freezer, 'a/b'), 'FROZEN');
      try {
        await killCgroup(plan.places, { waitMs: 30_000 });
        expect(await ended).toEqual(SIGKILL_STATUS);
      } finally {
        set(join(freezer, 'a/b'), 'THAWED');
      }
    }));

  it('of somebody else is named as the reason why nobody ends', (ctx) =>
    withCgroup(ctx, { hierarchies: 'all' }, async (plan) => {
      const freezer = freezerOf(plan);
      if (!freezer || !plan.places.some(({ version }) => version === 2))
        return ctx.skip('this machine has no freezer of version 1 beside version 2');
      mkdirSync(join(freezer, '../other'));
      for (const [by, member] of [
        [join(freezer, '../other'), join(freezer, '../other')],
        [join(freezer, '..'), freezer],
      ] as const) {
        const child = await startIn(plan, 'exec sleep 60');
        writeFileSync(join(member, 'cgroup.procs'), String(child.pid));
        set(by, 'FROZEN');
        try {
          await expect(killCgroup(plan.places, { waitMs: 100 })).rejects.toMatchObject({
            code: 'timeout',
            message: expect.stringContaining(`the cgroup ${by}, which is not the container's, keeps them frozen`),
          });
        } finally {
          set(by, 'THAWED');
        }
        await killCgroup(plan.places, { waitMs: 30_000 });
      }
    }));
});

describe('out of memory', () => {
  it('is told each time, and the end of the container ends it', (ctx) =>
    withCgroup(ctx, { memory: { limit: 16 * M, swap: 16 * M } }, async (plan) => {
      const eat = async () => {
        const hungry = await startIn(plan, 'exec dd if=/dev/zero of=/dev/null bs=100M count=1');
        expect(await once(hungry, 'exit')).toEqual(SIGKILL_STATUS);
      };
      const keeper = await startIn(plan, 'exec sleep 60');
      const events = oomEvents(plan.places);
      const first = events.next();
      await eat();
      expect(await first).toEqual({ done: false, value: undefined });
      const second = events.next();
      await eat();
      expect(await second).toEqual({ done: false, value: undefined });
      const last = events.next();
      keeper.kill('SIGKILL');
      if (plan.places.every(({ version }) => version === 1)) await events.return();
      else expect(await last).toEqual({ done: true, value: undefined });
    }));

  it('can be listened for until somebody has heard enough', (ctx) =>
    withCgroup(ctx, { memory: { limit: 16 * M } }, async (plan) => {
      const child = await startIn(plan, 'exec sleep 60');
      const stop = new AbortController();
      const next = oomEvents(plan.places, stop.signal).next();
      stop.abort();
      expect(await next).toEqual({ done: true, value: undefined });
      child.kill('SIGKILL');
    }));
});

describe('the cgroup to join', () => {
  it('is the container’s own, one below it by name, and never another', (ctx) =>
    withCgroup(ctx, { hierarchies: 'all' }, async ({ places }) => {
      for (const { directory } of places) mkdirSync(join(directory, 'a', 'b'), { recursive: true });
      const directories = (joined: readonly CgroupPlace[]) => joined.map(({ directory }) => directory);
      expect(directories(subCgroup(places, '/'))).toEqual(directories(places));
      expect(directories(subCgroup(places, 'a/./b/'))).toEqual(places.map(({ directory }) => join(directory, 'a/b')));
      expect(existsSync(join(places[0]?.directory ?? '', 'a/b'))).toBe(true);
      const [one] = places.filter(({ version }) => version === 1);
      if (one) {
        const name = one.controllers[0] ?? '';
        expect(directories(subCgroup(places, `${name}:a`))).toEqual(
          places.map((place) => (place === one ? join(one.directory, 'a') : place.directory)),
        );
        expect(failureOf(() => subCgroup(places, [`${name}:a`, `${name}:b`])).code).toBe('usage');
      }
    }));

  it('of a container that is told nothing is where nobody has moved its first process from', (ctx) =>
    withCgroup(ctx, { hierarchies: 'all' }, async (plan) => {
      const child = await startIn(plan, 'exec sleep 60');
      expect(cgroupsToJoin(plan.places, child.pid as number)).toEqual(plan.places);
      child.kill('SIGKILL');
    }));
});
