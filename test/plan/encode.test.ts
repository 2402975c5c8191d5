import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TareError } from '../../runtime/kernel/error.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { PlanBuilder } from '../../runtime/plan/builder.js';
import { decodePlan } from '../../runtime/plan/decode.js';
import { encodePlan } from '../../runtime/plan/encode.js';
import { HEADER, STEP } from '../../runtime/plan/layout.js';
import type { Plan, Slot } from '../../runtime/plan/plan.js';
import { anyPlan } from './arbitrary.js';

describe('encode and decode', () => {
  it('give back every plan but its names and reasons', () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const bytes = encodePlan(plan);
        const again = decodePlan(bytes);
        expect(again).toEqual(withoutWords(plan));
        expect(encodePlan(again).equals(bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('lays out a small plan byte for byte', () => {
    const b = new PlanBuilder();
    const root = b.outside.openat2(
      { dir: 'cwd', path: '/r', flags: 0x200000, mode: 0, resolve: 2n ** 63n },
      { as: 'root' },
    );
    b.outside.with({ if: root }).dup2({ fd: root, number: -3 }, { tolerate: ['EPERM', 'ENOSYS'] });
    const bytes = encodePlan(b.build());
    expect(bytes.toString('latin1', 0, 8)).toBe('TAREPLAN');
    expect(bytes.readUInt32LE(HEADER.planSize)).toBe(bytes.length);
    expect(bytes.readUInt32LE(HEADER.lanes)).toBe(1);
    expect(bytes.readUInt32LE(HEADER.laneSteps)).toBe(2);
    const data = bytes.readUInt32LE(HEADER.data);
    expect(data).toBe(HEADER.size + 2 * STEP.size);
    expect(bytes.toString('latin1', data)).toBe('/r\0');
    const open = HEADER.size;
    expect(bytes.readInt32LE(open + STEP.output)).toBe(0);
    expect(bytes.readInt32LE(open + STEP.output + 4)).toBe(-1);
    expect(bytes.readBigInt64LE(open + STEP.input)).toBe(-100n);
    expect(bytes.readBigUInt64LE(open + STEP.input + 8)).toBe(2n << 32n);
    expect(bytes.readBigUInt64LE(open + STEP.input + 32)).toBe(2n ** 63n);
    const dup = open + STEP.size;
    expect([bytes.readInt16LE(dup + STEP.guardIf), bytes.readInt16LE(dup + STEP.guardUnless)]).toEqual([0, -1]);
    expect([bytes.readInt16LE(dup + STEP.tolerate), bytes.readInt16LE(dup + STEP.tolerate + 2)]).toEqual([1, 38]);
    expect(bytes.readBigInt64LE(dup + STEP.input + 8)).toBe(-3n);
  });

  it('refuses any truncation, and never throws anything but a TareError for changed bytes', () => {
    const b = new PlanBuilder();
    b.outside.exec({ candidates: ['/bin/sh', '/bin/busybox'], argv: ['sh', '-c', 'true'], env: ['A=b'] });
    const bytes = encodePlan(b.build());
    for (let size = 0; size < bytes.length; size++)
      expect(() => decodePlan(bytes.subarray(0, size))).toThrow(TareError);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const bad = Buffer.from(bytes);
          for (const [at, value] of changes) bad[at] = value;
          try {
            decodePlan(bad);
          } catch (error) {
            if (!(error instanceof TareError)) throw error;
            expect(error.code).toBe('plan');
          }
        },
      ),
    );
  });

  it('refuses a string that is not UTF-8, also one whose replacement is as long', () => {
    const b = new PlanBuilder();
    b.outside.sethostname({ name: '\u{1F600}' });
    const bytes = encodePlan(b.build());
    // F0 9F 98 and a letter: what is not UTF-8 would be read as U+FFFD, which has three bytes as well.
    bytes[bytes.indexOf('\u{1F600}') + 3] = 'x'.charCodeAt(0);
    expect(() => decodePlan(bytes)).toThrow('not UTF-8');
  });

  it.each([
    [HEADER.version, 'version'],
    [HEADER.arch, 'architecture'],
    [HEADER.stepsHash, 'hash of steps.def'],
    [HEADER.planSize, 'size'],
  ])('says what is wrong with a header changed at %i', (at, word) => {
    const b = new PlanBuilder();
    b.outside.setsid();
    const bytes = encodePlan(b.build());
    bytes[at] = (bytes[at] as number) ^ 1;
    expect(() => decodePlan(bytes)).toThrow(word);
  });

  it('refuses a plan larger than stage takes', () => {
    const b = new PlanBuilder();
    const out = b.given('out');
    b.outside.write({ fd: out, data: new Uint8Array(16 << 20) });
    expect(() => encodePlan(b.build())).toThrow(/stage takes/);
  });
});

describe('steps.gen.ts', () => {
  it('is up to date with steps.def', () => {
    execFileSync(process.execPath, ['scripts/generate-steps.mjs', '--check'], { cwd: packageRoot(), stdio: 'pipe' });
  });
});

/** The plan as bytes can tell it. */
function withoutWords(plan: Plan): Plan {
  const slots = plan.slots.map((slot) => ({ ...slot, name: `slot ${slot.slot}` }));
  const rename = (value: unknown) =>
    typeof value === 'object' && value !== null && 'slot' in value ? slots[(value as Slot).slot] : value;
  const all = (values: object) =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [key, narrow(rename(value))]));
  const lanes = Object.fromEntries(
    Object.entries(plan.lanes).map(([lane, steps]) => [
      lane,
      steps.map((step) => ({
        ...step,
        inputs: all(step.inputs),
        outputs: all(step.outputs),
        ...(step.guardIf && { guardIf: rename(step.guardIf) }),
        field: '',
        why: '',
      })),
    ]),
  );
  return { formatVersion: 1, slots, given: plan.given.map((_, i) => `slot ${i}`), lanes } as unknown as Plan;
}

/** A bigint that is a safe integer comes back as a number. */
function narrow(value: unknown): unknown {
  return typeof value === 'bigint' && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
