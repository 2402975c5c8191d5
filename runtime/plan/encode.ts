/**
 * A plan as bytes: header, steps lane after lane, data area, as native/stage/protocol.h lays them out. Strings are written
 * once each. The plan is checked first: what cannot run is refused here, with words, and not by stage.
 */

import { errnoNumber } from '../kernel/errno.js';
import { TareError } from '../kernel/error.js';
import { checkPlan } from './check.js';
import { ARCH_X86_64, HEADER, PLAN_MAGIC, PLAN_MAX_SIZE, PLAN_VERSION, SLOT_CWD, SLOT_NONE, STEP } from './layout.js';
import { KINDS, type Kind } from './operands.js';
import { LANES, type Lane, type Plan, type Slot, type Step } from './plan.js';
import { STEPS_HASH } from './steps.gen.js';

/** The lanes that a plan has, in the order in which the wire numbers them. */
export function lanesOf(plan: Plan): Lane[] {
  return LANES.filter((lane) => plan.lanes[lane] !== undefined);
}

/** Checks and encodes. Throws a TareError (`plan`) when the plan is malformed, or larger than stage takes. */
export function encodePlan(plan: Plan): Buffer {
  checkPlan(plan);
  const lanes = lanesOf(plan);
  const steps = lanes.reduce((sum, lane) => sum + (plan.lanes[lane]?.length ?? 0), 0);
  const data = HEADER.size + steps * STEP.size;
  const out = new Output(data);
  out.bytes.write(PLAN_MAGIC, HEADER.magic, 'latin1');
  out.u32(HEADER.version, PLAN_VERSION);
  out.u32(HEADER.arch, ARCH_X86_64);
  out.bytes.write(STEPS_HASH, HEADER.stepsHash, 'hex');
  out.u32(HEADER.slots, plan.slots.length);
  out.u32(HEADER.given, plan.given.length);
  out.u32(HEADER.lanes, lanes.length);
  out.u32(HEADER.data, data);
  let at = HEADER.size;
  lanes.forEach((lane, i) => {
    const own = plan.lanes[lane] ?? [];
    out.u32(HEADER.laneSteps + 4 * i, own.length);
    for (const step of own) {
      encodeStep(out, at, step, lanes);
      at += STEP.size;
    }
  });
  out.u32(HEADER.planSize, out.size);
  return out.finish();
}

function encodeStep(out: Output, at: number, step: Step, lanes: readonly Lane[]): void {
  const kind = KINDS.get(step.kind) as Kind;
  out.u16(at + STEP.kind, kind.number);
  out.u16(at + STEP.inputs, kind.inputs.length | (kind.outputs.length << 8));
  out.u16(at + STEP.guardIf, step.guardIf?.slot ?? SLOT_NONE);
  out.u16(at + STEP.guardUnless, step.guardUnless?.slot ?? SLOT_NONE);
  step.tolerate?.forEach((name, i) => {
    out.u16(at + STEP.tolerate + 2 * i, errnoNumber(name) ?? 0);
  });
  const outputs = step.outputs as Readonly<Record<string, Slot | undefined>>;
  for (let i = 0; i < 2; i++) {
    const output = kind.outputs[i];
    out.u32(at + STEP.output + 4 * i, (output && outputs[output.name]?.slot) ?? SLOT_NONE);
  }
  const inputs = step.inputs as Readonly<Record<string, unknown>>;
  for (let i = 0; i < kind.inputs.length; i++) {
    const input = kind.inputs[i] as Kind['inputs'][number];
    encodeInput(out, at + STEP.input + 8 * i, input.letter, inputs[input.name], lanes);
  }
}

function encodeInput(
  out: Output,
  at: number,
  letter: Kind['inputs'][number]['letter'],
  value: unknown,
  lanes: readonly Lane[],
): void {
  switch (letter) {
    case 'd':
    case 'p':
      out.u64(at, slotNumber(value));
      break;
    case 'l':
      out.u64(at, lanes.indexOf(value as Lane));
      break;
    case 's':
      out.string(at, value as string);
      break;
    case 'b':
      out.data(at, value as Uint8Array);
      break;
    case 'v':
      out.strings(at, value as readonly string[]);
      break;
    default:
      out.u64(at, value as number | bigint);
  }
}

function slotNumber(value: unknown): number {
  if (value === 'cwd') return SLOT_CWD;
  if (value === 'none' || value === 'self') return SLOT_NONE;
  return (value as Slot).slot;
}

/** The plan as it grows: its header and steps, of known size, and behind them the data area, which inputs point into. */
class Output {
  bytes: Buffer;
  size: number;
  readonly #start: number;
  #view: DataView;
  /** Each string is written once: its offset in the data area and its length, as an input holds them. */
  readonly #strings = new Map<string, readonly [number, number]>();

  constructor(start: number) {
    this.#start = start;
    this.size = start;
    this.bytes = Buffer.alloc(2 * start + 4096);
    this.#view = viewOf(this.bytes);
  }

  u16(at: number, value: number): void {
    this.#view.setUint16(at, value, true);
  }

  u32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** 64 bits; a negative number as two's complement. Numbers go without a BigInt: a plan has thousands. */
  u64(at: number, value: number | bigint): void {
    if (typeof value === 'bigint') this.#view.setBigUint64(at, value, true);
    else this.#pair(at, value % 0x1_0000_0000, Math.floor(value / 0x1_0000_0000));
  }

  /** A string and its NUL. */
  string(at: number, text: string): void {
    let place = this.#strings.get(text);
    if (!place) {
      this.#reserve(text.length * 3 + 1);
      const length = this.bytes.write(text, this.size);
      place = [this.size - this.#start, length];
      this.size += length + 1;
      this.#strings.set(text, place);
    }
    this.#pair(at, place[0], place[1]);
  }

  /** Bytes, aligned as structures among them need it. */
  data(at: number, data: Uint8Array): void {
    const offset = this.#area(data.length);
    this.bytes.set(data, offset);
    this.#pair(at, offset - this.#start, data.length);
  }

  /** An array of offsets and lengths. */
  strings(at: number, list: readonly string[]): void {
    const offset = this.#area(8 * list.length);
    list.forEach((text, i) => {
      this.string(offset + 8 * i, text);
    });
    this.#pair(at, offset - this.#start, list.length);
  }

  finish(): Buffer {
    if (this.size > PLAN_MAX_SIZE) {
      throw new TareError('plan', `a plan of ${this.size} bytes; stage takes ${PLAN_MAX_SIZE}`);
    }
    return this.bytes.subarray(0, this.size);
  }

  #pair(at: number, low: number, high: number): void {
    this.#view.setUint32(at, low, true);
    this.#view.setUint32(at + 4, high, true);
  }

  /** Room in the data area at a multiple of 8. */
  #area(size: number): number {
    this.size += (8 - (this.size % 8)) % 8;
    this.#reserve(size);
    const offset = this.size;
    this.size += size;
    return offset;
  }

  #reserve(more: number): void {
    if (this.size + more <= this.bytes.length) return;
    const larger = Buffer.alloc(2 * (this.size + more));
    larger.set(this.bytes);
    this.bytes = larger;
    this.#view = viewOf(larger);
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
