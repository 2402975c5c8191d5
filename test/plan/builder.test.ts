import { describe, expect, expectTypeOf, it } from 'vitest';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import type { Slot } from '../../runtime/plan/plan.js';

describe('PlanBuilder', () => {
  it('returns the slot that a step fills, and both of a clone', () => {
    const b = new PlanBuilder();
    const root = b.outside.openat2({ dir: 'cwd', path: '/', flags: 0, mode: 0, resolve: 0 }, { as: 'rootfs' });
    const init = b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' }, { as: 'init' });
    const nothing = b.outside.umask({ mask: 0o22 });
    expectTypeOf(root).toEqualTypeOf<Slot<'fd'>>();
    expectTypeOf(init.pid).toEqualTypeOf<Slot<'pid'>>();
    expectTypeOf(nothing).toEqualTypeOf<undefined>();
    expect(nothing).toBeUndefined();
    expect([root.name, init.pid.name, init.pidfd.name]).toEqual(['rootfs', 'init', 'init pidfd']);
    expect(init.pid.type).toBe('pid');
  });

  it('numbers given slots first, whenever they were named', () => {
    const b = new PlanBuilder();
    const made = b.outside.openat2({ dir: 'cwd', path: '/', flags: 0, mode: 0, resolve: 0 });
    const tasks = b.given('tasks');
    b.outside.write({ fd: tasks, data: Buffer.from('0') });
    const plan = b.build();
    expect(plan.given).toEqual(['tasks']);
    expect([tasks.slot, made.slot]).toEqual([0, 1]);
    expect(plan.slots).toEqual([tasks, made]);
  });

  it('says a field once with for, and guards with with', () => {
    const b = new PlanBuilder();
    const found = b.outside
      .for('linux.maskedPaths[0]')
      .openat2(
        { dir: 'cwd', path: '/proc/kcore', flags: 0, mode: 0, resolve: 0 },
        { tolerate: ['ENOENT'], why: 'is it there?' },
      );
    b.outside.for('linux.maskedPaths[0]').with({ if: found }).close({ fd: found });
    b.outside.setsid();
    const [open, close, setsid] = b.build().lanes.outside;
    expect(open).toMatchObject({ field: 'linux.maskedPaths[0]', why: 'is it there?', tolerate: ['ENOENT'] });
    expect(close).toMatchObject({ field: 'linux.maskedPaths[0]', guardIf: found });
    expect(setsid).toMatchObject({ kind: 'setsid', field: 'default', why: 'setsid(2)', inputs: {} });
  });

  it('fills a slot in two ways with into', () => {
    const b = new PlanBuilder();
    const fast = b.outside.fsopen({ type: 'proc', flags: 0 }, { as: 'fs', tolerate: ['ENODEV'] });
    const same = b.outside.fsopen({ type: 'sysfs', flags: 0 }, { into: fast, unless: fast });
    expect(same).toBe(fast);
    expect(b.build().slots).toHaveLength(1);
  });

  it('ties lanes with a token for each pair', () => {
    const b = new PlanBuilder();
    b.outside.clone({ lane: 'inside', flags: 0, cgroup: 'none' });
    b.sync('outside', 'inside', 'ids are mapped');
    const listener = b.inside.seccomp({ flags: 0, filter: new Uint8Array(8) }, { as: 'listener' });
    const there = b.pass('inside', 'outside', listener, { field: 'linux.seccomp', why: 'who listens' });
    const { outside, inside, bridge } = b.build().lanes;
    expect(bridge).toBeUndefined();
    expect(outside.map((step) => step.kind)).toEqual(['clone', 'post', 'wait']);
    expect(inside?.map((step) => step.kind)).toEqual(['wait', 'seccomp', 'post']);
    expect(outside[1]?.inputs).toEqual({ lane: 'inside', token: 1, fd: 'none' });
    expect(inside?.[0]?.inputs).toEqual({ lane: 'outside', token: 1 });
    expect(inside?.[2]?.inputs).toEqual({ lane: 'outside', token: 2, fd: listener });
    expect(there.name).toBe('listener');
    expect(outside[2]).toMatchObject({ field: 'linux.seccomp', why: 'who listens', outputs: { fd: there } });
  });

  it('adds a step whose kind is data', () => {
    const b = new PlanBuilder();
    expect(b.inside.add('chdir', { path: '/' }, 'start there')).toEqual([]);
    expect(b.build().lanes.inside?.[0]).toMatchObject({ kind: 'chdir', why: 'start there' });
  });
});
