/**
 * A plan as bytes: header, steps lane after lane, data area, as native/stage/protocol.h lays them out. Strings are written
 * once each. The plan is checked first: what cannot run is refused here, with words, and not by stage.
 */

import { errnoNumber } from '../kernel/errno.js';
import { TareError } from '../kernel/error.js';
import { checkPlan } from './check.js';
import { ARCH_X86_64, HEADER, PLAN_MAGIC, PLAN_MAX_SIZE, PLAN_VERSION, SLOT_CWD, SLOT_NONE, STEP } from './layout.js';
import { KINDS } from './operands.js';
import { LANES, type Lane, type Plan, type Slot, type Step } from './plan.js';
import { type KindInfo, STEPS_HASH } from './steps.gen.js';

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
  const area = new DataArea();
  const view = Buffer.alloc(data);
  view.write(PLAN_MAGIC, HEADER.magic, 'latin1');
  view.writeUInt32LE(PLAN_VERSION, HEADER.version);
  view.writeUInt32LE(ARCH_X86_64, HEADER.arch);
  view.write(STEPS_HASH, HEADER.stepsHash, 'hex');
  view.writeUInt32LE(plan.slots.length, HEADER.slots);
  view.writeUInt32LE(plan.given.length, HEADER.given);
  view.writeUInt32LE(lanes.length, HEADER.lanes);
  view.writeUInt32LE(data, HEADER.data);
  let at = HEADER.size;
  lanes.forEach((lane, i) => {
    const own = plan.lanes[lane] ?? [];
    view.writeUInt32LE(own.length, HEADER.laneSteps + 4 * i);
    for (const step of own) {
      encodeStep(view, at, step, lanes, area);
      at += STEP.size;
    }
  });
  const size = data + area.size;
  if (size > PLAN_MAX_SIZE) throw new TareError('plan', `a plan of ${size} bytes; stage takes ${PLAN_MAX_SIZE}`);
  view.writeUInt32LE(size, HEADER.planSize);
  return Buffer.concat([view, ...area.parts], size);
}

function encodeStep(view: Buffer, at: number, step: Step, lanes: readonly Lane[], area: DataArea): void {
  const info = KINDS.get(step.kind) as KindInfo & { number: number };
  view.writeUInt16LE(info.number, at + STEP.kind);
  view[at + STEP.inputs] = info.inputs.length;
  view[at + STEP.outputs] = info.outputs.length;
  view.writeInt16LE(step.guardIf?.slot ?? SLOT_NONE, at + STEP.guardIf);
  view.writeInt16LE(step.guardUnless?.slot ?? SLOT_NONE, at + STEP.guardUnless);
  step.tolerate?.forEach((name, i) => {
    view.writeInt16LE(errnoNumber(name) ?? 0, at + STEP.tolerate + 2 * i);
  });
  const outputs = step.outputs as Readonly<Record<string, Slot | undefined>>;
  for (let i = 0; i < 2; i++) {
    const output = info.outputs[i];
    view.writeInt32LE((output && outputs[output.name]?.slot) ?? SLOT_NONE, at + STEP.output + 4 * i);
  }
  const inputs = step.inputs as Readonly<Record<string, unknown>>;
  for (let i = 0; i < info.inputs.length; i++) {
    const input = info.inputs[i] as KindInfo['inputs'][number];
    encodeInput(view, at + STEP.input + 8 * i, input.letter, inputs[input.name], lanes, area);
  }
}

function encodeInput(
  view: Buffer,
  at: number,
  letter: KindInfo['inputs'][number]['letter'],
  value: unknown,
  lanes: readonly Lane[],
  area: DataArea,
): void {
  switch (letter) {
    case 'd':
    case 'p':
      write64(view, at, slotNumber(value));
      break;
    case 'l':
      write64(view, at, lanes.indexOf(value as Lane));
      break;
    case 's':
      area.string(value as string, view, at);
      break;
    case 'b':
      area.bytes(value as Uint8Array, view, at);
      break;
    case 'v':
      area.strings(value as readonly string[], view, at);
      break;
    default:
      write64(view, at, value as number | bigint);
  }
}

function slotNumber(value: unknown): number {
  if (value === 'cwd') return SLOT_CWD;
  if (value === 'none' || value === 'self') return SLOT_NONE;
  return (value as Slot).slot;
}

/** 64 bits, little endian; a negative number as two's complement. Numbers go without a BigInt: a plan has thousands. */
function write64(view: Buffer, at: number, value: number | bigint): void {
  if (typeof value === 'bigint') view.writeBigUInt64LE(value, at);
  else write32s(view, at, value % 0x1_0000_0000, Math.floor(value / 0x1_0000_0000));
}

function write32s(view: Buffer, at: number, low: number, high: number): void {
  view.writeUInt32LE(low >>> 0, at);
  view.writeUInt32LE(high >>> 0, at + 4);
}

/** What inputs point at: strings (with a NUL each), bytes, and arrays of both, 8-byte aligned. */
class DataArea {
  readonly parts: Buffer[] = [];
  size = 0;
  readonly #strings = new Map<string, { offset: number; length: number }>();

  string(text: string, view: Buffer, at: number): void {
    const { offset, length } = this.#place(text);
    write32s(view, at, offset, length);
  }

  bytes(bytes: Uint8Array, view: Buffer, at: number): void {
    this.#align();
    write32s(view, at, this.#add(Buffer.from(bytes)), bytes.length);
  }

  strings(list: readonly string[], view: Buffer, at: number): void {
    const array = Buffer.alloc(list.length * 8);
    list.forEach((text, i) => {
      const { offset, length } = this.#place(text);
      write32s(array, i * 8, offset, length);
    });
    this.#align();
    write32s(view, at, this.#add(array), list.length);
  }

  #place(text: string): { offset: number; length: number } {
    let place = this.#strings.get(text);
    if (!place) {
      const bytes = Buffer.from(`${text}\0`);
      place = { offset: this.#add(bytes), length: bytes.length - 1 };
      this.#strings.set(text, place);
    }
    return place;
  }

  #add(bytes: Buffer): number {
    const offset = this.size;
    this.parts.push(bytes);
    this.size += bytes.length;
    return offset;
  }

  #align(): void {
    if (this.size % 8 !== 0) this.#add(PADDING.subarray(this.size % 8));
  }
}

const PADDING = Buffer.alloc(8);
