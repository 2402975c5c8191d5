import { describe, expect, it } from 'vitest';
import { TareError } from '../../runtime/kernel/error.js';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import { checkPlan } from '../../runtime/plan/check.js';
import type { Plan, Slot, Step } from '../../runtime/plan/plan.js';

const open = { dir: 'cwd', path: '/', flags: 0, mode: 0, resolve: 0 } as const;
const sh = { candidates: ['/bin/sh'], argv: ['sh'], env: [] } as const;

/** A plan; `fill` puts in what is to be judged. The inside lane, if there is one, ends as it must. */
function plan(fill: (b: PlanBuilder) => void, ends = true): Plan {
  const b = new PlanBuilder();
  fill(b);
  const { outside, inside } = b.build().lanes;
  if (ends && (inside || outside.some((step) => step.kind === 'clone'))) b.inside.exec(sh);
  return b.build();
}

const clone = (b: PlanBuilder) => b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' }, { as: 'init' });

describe('checkPlan accepts', () => {
  it.each<[string, (b: PlanBuilder) => void]>([
    [
      'slots that the parent had filled when it cloned',
      (b) => {
        const root = b.outside.openat2(open);
        clone(b);
        b.inside.fchdir({ fd: root });
      },
    ],
    [
      'an optional slot under its own guard, and what that guard made under either',
      (b) => {
        const kcore = b.outside.openat2(open, { tolerate: ['ENOENT'] });
        const copy = b.outside.with({ if: kcore }).open_tree({ dir: kcore, path: '', flags: 0 });
        b.outside.with({ if: kcore }).fchdir({ fd: copy });
        b.outside.with({ if: copy }).fchdir({ fd: copy });
        b.outside.with({ if: copy }).fchdir({ fd: kcore });
        clone(b);
      },
    ],
    [
      'a slot filled in one of two ways',
      (b) => {
        const fd = b.outside.openat2(open, { tolerate: ['ENOENT'] });
        b.outside.openat2({ ...open, path: '/other' }, { unless: fd, into: fd });
        b.outside.fchdir({ fd });
        clone(b);
      },
    ],
    [
      'a slot that was closed and is filled again',
      (b) => {
        const fd = b.outside.openat2(open);
        b.outside.close({ fd });
        b.outside.openat2(open, { into: fd });
        b.outside.fchdir({ fd });
        clone(b);
      },
    ],
    [
      'lanes that wait for each other in turn, with descriptors, and an optional one passed on',
      (b) => {
        clone(b);
        const perhaps = b.outside.openat2(open, { tolerate: ['ENOENT'] });
        b.sync('outside', 'inside', 'maps are written');
        const there = b.pass('outside', 'inside', perhaps, 'may be empty');
        b.inside.with({ if: there }).fchdir({ fd: there });
        const listener = b.inside.seccomp({ flags: 8, filter: new Uint8Array(8) });
        b.outside.fchdir({ fd: b.pass('inside', 'outside', listener, 'who listens') });
      },
    ],
    [
      'a bridge that clones the inside lane',
      (b) => {
        b.outside.clone({ lane: 'bridge', flags: 0, cgroup: 'none' });
        b.bridge.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
        b.bridge.exit({ status: 0 });
      },
    ],
  ])('%s', (_, fill) => {
    expect(() => checkPlan(plan(fill))).not.toThrow();
  });
});

describe('checkPlan refuses', () => {
  it.each<[string, string, (b: PlanBuilder) => void]>([
    [
      'use before it is filled',
      'outside step 1, fchdir (default): slot "late" is empty here',
      (b) => {
        const late = b.fd('late');
        b.outside.fchdir({ fd: late });
        b.outside.openat2(open, { into: late });
      },
    ],
    [
      'use of what the parent fills after the clone',
      'inside step 1, fchdir (default): slot "late" is empty here',
      (b) => {
        clone(b);
        b.inside.fchdir({ fd: b.outside.openat2(open, { as: 'late' }) });
      },
    ],
    [
      'use of the child’s own pid slot in the child',
      'slot "init" is empty here',
      (b) => {
        const init = clone(b);
        b.inside.open_proc({ pid: init.pid, path: 'ns/user', flags: 0 });
      },
    ],
    [
      'use of what another lane filled',
      'slot "mine" is empty here',
      (b) => {
        clone(b);
        b.outside.fchdir({ fd: b.inside.openat2(open, { as: 'mine' }) });
      },
    ],
    [
      'use of a tolerated output without its guard',
      'slot "kcore" may be empty here',
      (b) => {
        b.outside.fchdir({ fd: b.outside.openat2(open, { as: 'kcore', tolerate: ['ENOENT'] }) });
      },
    ],
    [
      'use of a guarded output under another guard',
      'slot "made" may be empty here',
      (b) => {
        const [one, two] = [
          b.outside.openat2(open, { tolerate: ['ENOENT'] }),
          b.outside.openat2(open, { tolerate: ['ENOENT'] }),
        ];
        const made = b.outside.with({ if: one }).openat2(open, { as: 'made' });
        b.outside.with({ if: two }).fchdir({ fd: made });
      },
    ],
    [
      'use after a guarding slot was closed',
      'slot "made" may be empty here',
      (b) => {
        const one = b.outside.openat2(open, { tolerate: ['ENOENT'] });
        const made = b.outside.with({ if: one }).openat2(open, { as: 'made' });
        b.outside.with({ if: one }).close({ fd: one });
        b.outside.openat2(open, { into: one, tolerate: ['ENOENT'] });
        b.outside.with({ if: one }).fchdir({ fd: made });
      },
    ],
    [
      'a condition that never holds',
      'its condition, slot "never", is never filled here',
      (b) => {
        b.outside.with({ if: b.fd('never') }).setsid();
      },
    ],
    [
      'use after close',
      'slot "gone" is empty here',
      (b) => {
        const gone = b.outside.openat2(open, { as: 'gone' });
        b.outside.close({ fd: gone });
        b.outside.fchdir({ fd: gone });
      },
    ],
    [
      'a wait that carries nothing, used',
      'slot "nothing" is empty here',
      (b) => {
        clone(b);
        b.outside.post({ lane: 'inside', token: 1, fd: 'none' });
        const nothing = b.inside.wait({ lane: 'outside', token: 1 }, { as: 'nothing' });
        b.inside.fchdir({ fd: nothing });
      },
    ],
    [
      'a slot filled twice',
      'slot "twice" is filled already',
      (b) => {
        const twice = b.outside.openat2(open, { as: 'twice' });
        b.outside.openat2(open, { into: twice });
      },
    ],
    [
      'a pid where a descriptor is wanted',
      'slot "init" holds a pid, and a fd is wanted',
      (b) => {
        const init = clone(b);
        b.outside.fchdir({ fd: init.pid as unknown as Slot<'fd'> });
      },
    ],
    [
      'a slot of another plan',
      'is of another plan',
      (b) => {
        b.outside.openat2(open);
        b.outside.fchdir({ fd: new PlanBuilder().given('foreign') });
      },
    ],
    ['none where a descriptor is needed', 'input "fd": it cannot be none', (b) => b.outside.fchdir({ fd: 'none' })],
    ['the working directory as a file', 'it cannot be the working directory', (b) => b.outside.close({ fd: 'cwd' })],
    ['a NUL byte in a string', 'a string holds a NUL byte', (b) => b.outside.chdir({ path: '/a\0b' })],
    ['half a surrogate pair', 'not well-formed Unicode', (b) => b.outside.chdir({ path: '/\ud800' })],
    ['a negative unsigned number', '-1 is not an unsigned integer', (b) => b.outside.umask({ mask: -1 })],
    ['a number of more than 64 bits', 'is not of 64 bits', (b) => b.outside.cap_bound({ keep: 2n ** 64n })],
    ['a fraction', '0.5 is not an unsigned integer', (b) => b.outside.umask({ mask: 0.5 })],
    ['an unknown errno', '"ENOTHING" is not the name of an errno', (b) => b.outside.setsid({ tolerate: ['ENOTHING'] })],
    [
      'three tolerated errnos',
      'at most 2 can be named',
      (b) => b.outside.setsid({ tolerate: ['EPERM', 'ENOENT', 'EIO'] }),
    ],
    ['a missing input', 'input "path": a string is wanted', (b) => b.outside.chdir({} as { path: string })],
    ['an input too many', 'it has no input "pth"', (b) => b.outside.chdir({ path: '/', pth: '/' } as { path: string })],
    ['a lane without a clone', 'no clone step starts the inside lane', (b) => b.inside.setsid()],
    [
      'a lane cloned twice',
      'the inside lane has been cloned already',
      (b) => {
        clone(b);
        clone(b);
      },
    ],
    [
      'a clone of a lane that is not there',
      'this plan has no lane bridge',
      (b) => {
        clone(b);
        b.outside.clone({ lane: 'bridge', flags: 0, cgroup: 'none' });
      },
    ],
    ['a clone of itself', 'it names its own lane', (b) => b.inside.clone({ lane: 'inside', flags: 0, cgroup: 'none' })],
    [
      'a clone of the outside lane',
      'the outside lane is stage itself',
      (b) => {
        clone(b);
        b.inside.clone({ lane: 'outside', flags: 0, cgroup: 'none' });
      },
    ],
    [
      'a clone with a condition',
      'a clone has no condition',
      (b) => {
        const fd = b.outside.openat2(open);
        b.outside.with({ if: fd }).clone({ lane: 'inside', flags: 0, cgroup: 'none' });
      },
    ],
    [
      'a wait that nobody answers',
      'the outside lane never posts token 7',
      (b) => {
        clone(b);
        b.inside.wait({ lane: 'outside', token: 7 });
      },
    ],
    [
      'two lanes that wait for each other',
      'never posts token',
      (b) => {
        clone(b);
        b.inside.wait({ lane: 'outside', token: 1 });
        b.inside.post({ lane: 'outside', token: 2, fd: 'none' });
        b.outside.wait({ lane: 'inside', token: 2 });
        b.outside.post({ lane: 'inside', token: 1, fd: 'none' });
      },
    ],
    [
      'a post that nobody waits for',
      'outside step 2, post (default): nobody waits for it',
      (b) => {
        clone(b);
        b.outside.post({ lane: 'inside', token: 1, fd: 'none' });
      },
    ],
    [
      'a token that comes before the one waited for',
      'inside step 1, wait (default): it waits for token 2, and 1 comes first',
      (b) => {
        clone(b);
        b.outside.post({ lane: 'inside', token: 1, fd: 'none' });
        b.outside.post({ lane: 'inside', token: 2, fd: 'none' });
        b.inside.wait({ lane: 'outside', token: 2 });
        b.inside.wait({ lane: 'outside', token: 1 });
      },
    ],
    [
      'a uid of 2^32',
      '4294967296 is not of 32 bits',
      (b) => b.outside.setresuid({ real: 0, effective: 2 ** 32, saved: 0 }),
    ],
    [
      'a descriptor number beyond int',
      'not an integer of 32 bits',
      (b) => b.outside.dup2({ fd: b.given('in'), number: 2 ** 31 }),
    ],
    [
      'a call with an endless name',
      'longer than 255 bytes',
      (b) => b.outside.call({ name: 'x'.repeat(256), fd: 'none' }),
    ],
    [
      'supervision of itself',
      'it supervises no process',
      (b) => b.outside.supervise({ pid: 'self', state: 'none', listener: 'none' }),
    ],
    [
      'a wait with another condition than its post',
      'its condition is not that of its post',
      (b) => {
        const fd = b.outside.openat2(open, { tolerate: ['ENOENT'] });
        clone(b);
        b.outside.with({ if: fd }).post({ lane: 'inside', token: 1, fd: 'none' });
        b.inside.wait({ lane: 'outside', token: 1 });
      },
    ],
    [
      'steps after exec',
      'the steps after it can never run',
      (b) => {
        clone(b);
        b.inside.exec(sh);
      },
    ],
    [
      'supervise inside',
      'only the outside lane supervises',
      (b) => {
        const init = clone(b);
        b.inside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
      },
    ],
    [
      'steps after supervise',
      'nothing can follow it',
      (b) => {
        const init = clone(b);
        b.outside.supervise({ pid: init.pid, state: 'none', listener: 'none' });
        b.outside.setsid();
      },
    ],
    ['exec of nothing', 'argv is empty', (b) => b.outside.exec({ candidates: ['/bin/sh'], argv: [], env: [] })],
    ['exec without a candidate', 'no candidate to execute', (b) => b.outside.exec({ ...sh, candidates: [] })],
    ['half a gid', 'gids are 4 bytes each', (b) => b.outside.setgroups({ gids: new Uint8Array(6) })],
    [
      'a filter of no instructions',
      '1 to 4096 instructions',
      (b) => b.outside.seccomp({ flags: 0, filter: new Uint8Array() }),
    ],
    [
      'half an instruction of a device program',
      '1 to 4096 instructions',
      (b) => b.outside.cgroup_device({ cgroup: b.given('cgroup'), program: new Uint8Array(12) }),
    ],
    ['an exit status of 256', 'at most 255', (b) => b.outside.exit({ status: 256 })],
  ])('%s', (_, message, fill) => {
    const bad = plan(fill);
    expect(() => checkPlan(bad)).toThrow(message);
    expect(() => checkPlan(bad)).toThrow(TareError);
  });

  it('a cloned lane without an end', () => {
    const bad = plan((b) => {
      clone(b);
      b.inside.setsid();
    }, false);
    expect(() => checkPlan(bad)).toThrow(
      'inside step 1, setsid (default): a cloned lane ends with exec, exec_fd or exit',
    );
  });

  it('an exec that may fail, or be skipped', () => {
    for (const about of [{ tolerate: ['ENOENT'] }, { if: 'fd' }] as const) {
      const b = new PlanBuilder();
      const fd = b.outside.openat2(open);
      b.outside.exec(sh, 'if' in about ? { if: fd } : about);
      expect(() => checkPlan(b.build())).toThrow('the end of a lane');
    }
  });

  it('more slots, or steps, than stage has room for', () => {
    const b = new PlanBuilder();
    for (let i = 0; i < 1025; i++) b.fd('one');
    expect(() => checkPlan(b.build())).toThrow('1025 slots; at most 1024');
    const c = new PlanBuilder();
    for (let i = 0; i < 8193; i++) c.outside.setsid();
    expect(() => checkPlan(c.build())).toThrow('8193 steps; at most 8192');
  });

  it('a given pid, slots out of order, another format, an unknown kind', () => {
    const slot = { slot: 0, type: 'pid', name: 'p' } as const;
    const lanes = { outside: [] };
    expect(() => checkPlan({ formatVersion: 1, slots: [slot], given: ['p'], lanes })).toThrow(
      'a descriptor, not a pid',
    );
    expect(() => checkPlan({ formatVersion: 1, slots: [slot], given: ['p', 'q'], lanes })).toThrow('more descriptors');
    expect(() => checkPlan({ formatVersion: 1, slots: [{ ...slot, slot: 1 }], given: [], lanes })).toThrow(
      'number 1, and is 0',
    );
    expect(() => checkPlan({ formatVersion: 2 as 1, slots: [], given: [], lanes })).toThrow('a plan of format 2');
    const reboot = { kind: 'reboot', inputs: {}, outputs: {}, field: 'x', why: 'y' } as unknown as Step;
    expect(() => checkPlan({ formatVersion: 1, slots: [], given: [], lanes: { outside: [reboot] } })).toThrow(
      'no such step kind',
    );
  });

  it('names the place for programs, too', () => {
    const bad = plan((b) => {
      clone(b);
      b.inside.for('process.cwd').chdir({ path: '\0' });
    });
    expect(() => checkPlan(bad)).toThrow(expect.objectContaining({ code: 'plan', path: 'lanes.inside[0]' }));
  });
});
