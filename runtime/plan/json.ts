/**
 * A plan as JSON, for other programs and for keeping: `tare plan --json`. The format is published as plan.schema.json
 * (schema.ts makes it) and has a version. Slots are referred to by number, bytes are base64, and numbers that JSON's
 * readers cannot hold exactly are decimal strings. Nothing of the machine that compiled it, and no secret of it, is inside;
 * what is, is what config.json says: its environment too, unless that is hidden.
 */
import { TareError } from '../kernel/error.js';
import { checkPlan } from './check.js';
import { KINDS } from './operands.js';
import { LANES, type Lane, type Plan, type Slot, type Step } from './plan.js';
import { isSlot } from './slot-states.js';
import { type KindInfo, STEPS_HASH } from './steps.gen.js';
import { formatStep } from './symbols.js';

export interface JsonOptions {
  /** Replaces the values of environment variables by `***`; the plan can then be read, and no longer run as it was. */
  readonly hideEnvironment?: boolean;
}

/** A value for JSON.stringify, with its keys always in the same order. */
export function planToJson(plan: Plan, options: JsonOptions = {}): Record<string, unknown> {
  return {
    formatVersion: 1,
    arch: 'x86_64',
    stepsHash: STEPS_HASH,
    slots: plan.slots.map(({ name, type }) => ({ name, type })),
    given: [...plan.given],
    lanes: Object.fromEntries(
      LANES.flatMap((lane) => {
        const steps = plan.lanes[lane];
        return steps ? [[lane, steps.map((step) => stepToJson(step, options))]] : [];
      }),
    ),
  };
}

function stepToJson(step: Step, options: JsonOptions): Record<string, unknown> {
  const inputs = Object.entries(step.inputs as Record<string, unknown>).map(([name, value]) => [
    name,
    name === 'env' && options.hideEnvironment ? hide(value as readonly string[]) : valueToJson(value),
  ]);
  return {
    kind: step.kind,
    inputs: Object.fromEntries(inputs),
    outputs: Object.fromEntries(Object.entries(step.outputs).map(([name, slot]) => [name, valueToJson(slot)])),
    ...(step.guardIf && { if: valueToJson(step.guardIf) }),
    ...(step.guardUnless && { unless: valueToJson(step.guardUnless) }),
    ...(step.tolerate?.length && { tolerate: [...step.tolerate] }),
    field: step.field,
    why: step.why,
    text: options.hideEnvironment && 'env' in step.inputs ? formatStep(hidden(step)) : formatStep(step),
  };
}

function valueToJson(value: unknown): unknown {
  if (isSlot(value)) return { slot: value.slot };
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') };
  if (typeof value === 'bigint') return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
  return Array.isArray(value) ? [...value] : value;
}

function hidden(step: Step): Step {
  return { ...step, inputs: { ...step.inputs, env: hide((step.inputs as { env: readonly string[] }).env) } } as Step;
}

function hide(env: readonly string[]): string[] {
  return env.map((variable) => variable.replace(/=.*/s, '=***'));
}

/**
 * The plan that planToJson wrote, checked as before an encoding. What `text` says is for people and is not read.
 * @throws TareError (`plan`, with the JSON path) when the value is not of the format.
 */
export function planFromJson(value: unknown): Plan {
  const top = object(value, '');
  if (top.formatVersion !== 1) fail('formatVersion', `format ${JSON.stringify(top.formatVersion)}; this Tare knows 1`);
  if (top.arch !== 'x86_64') fail('arch', 'a plan is for x86_64');
  const slots = list(top.slots, 'slots').map((entry, slot): Slot => {
    const { name, type } = object(entry, `slots[${slot}]`);
    if (type !== 'fd' && type !== 'pid') fail(`slots[${slot}].type`, 'fd or pid is wanted');
    return { slot, type, name: text(name, `slots[${slot}].name`) };
  });
  const lanes: Partial<Record<Lane, readonly Step[]>> = {};
  for (const [lane, steps] of Object.entries(object(top.lanes, 'lanes'))) {
    if (!LANES.includes(lane as Lane)) fail(`lanes.${lane}`, 'there is no such lane');
    const place = `lanes.${lane}`;
    lanes[lane as Lane] = list(steps, place).map((step, i) => stepFromJson(step, slots, `${place}[${i}]`));
  }
  if (!lanes.outside) fail('lanes.outside', 'it is missing');
  const given = list(top.given, 'given').map((name, i) => text(name, `given[${i}]`));
  const plan: Plan = { formatVersion: 1, slots, given, lanes: lanes as Plan['lanes'] };
  checkPlan(plan);
  return plan;
}

function stepFromJson(value: unknown, slots: readonly Slot[], path: string): Step {
  const step = object(value, path);
  const info = KINDS.get(text(step.kind, `${path}.kind`));
  if (!info) return fail(`${path}.kind`, `there is no step kind ${JSON.stringify(step.kind)}`);
  const given = object(step.inputs, `${path}.inputs`);
  const inputs = Object.fromEntries(
    Object.entries(given).map(([name, input]) => {
      const letter = info.inputs.find((known) => known.name === name)?.letter;
      return [name, inputFromJson(input, letter, slots, `${path}.inputs.${name}`)];
    }),
  );
  const slot = (key: string) =>
    step[key] === undefined ? undefined : slotFromJson(step[key], slots, `${path}.${key}`);
  const outputs = Object.entries(object(step.outputs, `${path}.outputs`)).map(([name, output]) => [
    name,
    slotFromJson(output, slots, `${path}.outputs.${name}`),
  ]);
  const [guardIf, guardUnless] = [slot('if'), slot('unless')];
  const tolerate = step.tolerate === undefined ? [] : list(step.tolerate, `${path}.tolerate`);
  return {
    kind: info.kind,
    inputs,
    outputs: Object.fromEntries(outputs),
    ...(guardIf && { guardIf }),
    ...(guardUnless && { guardUnless }),
    ...(tolerate.length > 0 && { tolerate: tolerate.map((name, i) => text(name, `${path}.tolerate[${i}]`)) }),
    field: text(step.field, `${path}.field`),
    why: text(step.why, `${path}.why`),
  } as unknown as Step;
}

function inputFromJson(
  value: unknown,
  letter: KindInfo['inputs'][number]['letter'] | undefined,
  slots: readonly Slot[],
  path: string,
): unknown {
  if (letter === 'b') {
    const base64 = text(object(value, path).base64, `${path}.base64`);
    const bytes = Buffer.from(base64, 'base64');
    if (bytes.toString('base64') !== base64) fail(`${path}.base64`, 'it is not base64');
    return new Uint8Array(bytes);
  }
  if (letter === 'u' && typeof value === 'string' && /^\d{1,20}$/.test(value)) return BigInt(value);
  if ((letter === 'd' || letter === 'p') && typeof value === 'object') return slotFromJson(value, slots, path);
  return value;
}

function slotFromJson(value: unknown, slots: readonly Slot[], path: string): Slot {
  const { slot } = object(value, path);
  return slots[typeof slot === 'number' ? slot : -1] ?? fail(path, 'it names no slot of this plan');
}

function object(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  return fail(path, 'an object is wanted');
}

function list(value: unknown, path: string): readonly unknown[] {
  return Array.isArray(value) ? value : fail(path, 'a list is wanted');
}

function text(value: unknown, path: string): string {
  return typeof value === 'string' ? value : fail(path, 'a string is wanted');
}

function fail(path: string, what: string): never {
  throw new TareError('plan', `malformed plan: ${path ? `${path}: ` : ''}${what}`, { path });
}
