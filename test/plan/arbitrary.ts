/**
 * Random plans that are well-formed: any steps in any lanes, with slots that are filled where they are used. For tests of
 * what must hold for every plan: encode and decode, JSON, diff.
 */
import fc from 'fast-check';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import { KINDS } from '../../runtime/plan/operands.js';
import type { Lane, Plan, Slot } from '../../runtime/plan/plan.js';
import type { StepInputs, StepKind } from '../../runtime/plan/steps.gen.js';
import { STEP_KINDS } from '../../runtime/plan/steps.gen.js';

/** Kinds with rules of their own about where they stand. */
const STRUCTURE = new Set<StepKind>([
  'clone',
  'post',
  'wait',
  'adopt',
  'await_exec',
  'supervise',
  'exec',
  'exec_fd',
  'exit',
  'close',
  'setgroups',
  'seccomp',
  'cgroup_device',
  'sched_setaffinity',
  'set_mempolicy',
]);
const FREE = STEP_KINDS.filter((info) => !STRUCTURE.has(info.kind));

const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((s) => !s.includes('\0'));
const unsigned = fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }));
const randomStep = fc.record({
  kind: fc.constantFrom(...FREE.map((info) => info.kind)),
  lane: fc.constantFrom<Lane>('outside', 'bridge', 'inside'),
  texts: fc.array(text, { minLength: 8, maxLength: 8 }),
  wide: fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n })),
  numbers: fc.array(unsigned, { minLength: 8, maxLength: 8 }),
  signed: fc.integer(),
  bytes: fc.uint8Array({ maxLength: 20 }),
  pick: fc.nat(),
  tolerate: fc.subarray(['ENOENT', 'EPERM', 'EMEDIUMTYPE'], { maxLength: 2 }),
  guarded: fc.boolean(),
  about: fc.record({ field: text, why: text }),
});

/** A plan of up to 30 random steps, with all three lanes, ties between them and both kinds of guard. */
export const anyPlan: fc.Arbitrary<Plan> = fc.array(randomStep, { maxLength: 30 }).map((steps) => {
  const b = new PlanBuilder();
  const fds: Record<Lane, Slot<'fd'>[]> = { outside: [], bridge: [], inside: [] };
  const given = b.given('first');
  const bridge = b.outside.clone({ lane: 'bridge', flags: 0, cgroup: given }, { as: 'bridge' });
  const inside = b.bridge.clone({ lane: 'inside', flags: 0x10000000, cgroup: 'none' }, { as: 'inside' });
  const pids: Record<Lane, Slot<'pid'>[]> = { outside: [bridge.pid], bridge: [inside.pid], inside: [] };
  for (const lane of ['outside', 'bridge', 'inside'] as const) fds[lane].push(given);
  fds.outside.push(b.pass('inside', 'outside', given, 'ties two lanes'));
  for (const random of steps) {
    const { lane, kind, pick, tolerate } = random;
    const inputs: Record<string, unknown> = {};
    KINDS.get(kind)?.inputs.forEach((input, i) => {
      const fd = fds[lane][pick % fds[lane].length];
      const value = {
        d: fd,
        p: pids[lane][pick % (pids[lane].length + 1)] ?? 'self',
        l: 'outside',
        s: random.texts[i],
        v: random.texts.slice(i),
        b: random.bytes,
        u: kind === 'prctl' ? random.wide : random.numbers[i],
        i: random.signed,
      }[input.letter];
      inputs[input.name] = value;
    });
    const made = b[lane].add(kind, inputs as unknown as StepInputs[StepKind], {
      ...random.about,
      tolerate,
      ...(random.guarded && { if: given }),
    });
    if (tolerate.length === 0 && !random.guarded) {
      for (const slot of made) if (slot.type === 'fd') fds[lane].push(slot as Slot<'fd'>);
    }
  }
  b.bridge.exit({ status: 0 });
  b.inside.exec({ candidates: ['/bin/true'], argv: ['true'], env: ['A=b'] });
  b.outside.supervise({ pid: bridge.pid, state: 'none', listener: given });
  return b.build();
});
