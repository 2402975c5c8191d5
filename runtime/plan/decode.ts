/**
 * Bytes to a plan: the reverse of encode.ts, for tests, and for whoever shows a plan that it did not make. The bytes are not
 * trusted: whatever stage would refuse is refused here, with a TareError (`plan`). Names, fields and whys are not in the
 * bytes, so slots are called by number.
 */

import { isUtf8 } from 'node:buffer';
import { errnoName } from '../kernel/errno.js';
import { TareError } from '../kernel/error.js';
import { checkPlan } from './check.js';
import { ARCH_X86_64, HEADER, PLAN_MAGIC, PLAN_MAX_SIZE, PLAN_VERSION, SLOT_CWD, SLOT_NONE, STEP } from './layout.js';
import { MAX_SLOTS, MAX_STEPS } from './operands.js';
import { LANES, type Lane, type Plan, type Slot, type Step } from './plan.js';
import { type KindInfo, STEP_KINDS, STEPS_HASH } from './steps.gen.js';

/** Decodes and checks. Throws a TareError (`plan`) that says which part of the bytes is wrong. */
export function decodePlan(bytes: Uint8Array): Plan {
  return new Decoder(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).plan();
}

class Decoder {
  readonly #bytes: Buffer;
  #data = 0;
  #lanes: Lane[] = [];
  #slots: { slot: number; type: 'fd' | 'pid'; name: string }[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  plan(): Plan {
    const bytes = this.#bytes;
    if (bytes.length < HEADER.size) refuse(`${bytes.length} bytes are too few for a header`);
    if (bytes.toString('latin1', 0, 8) !== PLAN_MAGIC) refuse('it does not begin with TAREPLAN');
    this.#expect('version', bytes.readUInt32LE(HEADER.version), PLAN_VERSION);
    this.#expect('architecture', bytes.readUInt32LE(HEADER.arch), ARCH_X86_64);
    const hash = bytes.toString('hex', HEADER.stepsHash, HEADER.stepsHash + 32);
    if (hash !== STEPS_HASH) refuse('it was made for another list of steps (the hash of steps.def differs)');
    this.#expect('size', bytes.readUInt32LE(HEADER.planSize), bytes.length);
    if (bytes.length > PLAN_MAX_SIZE) refuse(`${bytes.length} bytes; at most ${PLAN_MAX_SIZE} can be had`);
    const slots = this.#count('slots', HEADER.slots, MAX_SLOTS);
    const given = this.#count('given slots', HEADER.given, slots);
    const lanes = this.#count('lanes', HEADER.lanes, LANES.length);
    if (lanes < 1) refuse('it has no lane');
    const steps = Array.from({ length: lanes }, (_, i) => this.#count('steps', HEADER.laneSteps + 4 * i, MAX_STEPS));
    this.#data = bytes.readUInt32LE(HEADER.data);
    const end = HEADER.size + steps.reduce((sum, n) => sum + n, 0) * STEP.size;
    if (this.#data !== end || end > bytes.length) refuse('the data area does not follow the steps');
    // A plan of two lanes has outside and inside; only one of three has a bridge.
    this.#lanes = lanes === 2 ? ['outside', 'inside'] : LANES.slice(0, lanes);
    this.#slots = Array.from({ length: slots }, (_, slot) => ({ slot, type: 'fd', name: `slot ${slot}` }));
    this.#findPids(steps.reduce((sum, n) => sum + n, 0));
    let at = HEADER.size;
    const decoded: Partial<Record<Lane, readonly Step[]>> = {};
    this.#lanes.forEach((lane, i) => {
      decoded[lane] = Array.from({ length: steps[i] as number }, () => {
        const step = this.#step(at);
        at += STEP.size;
        return step;
      });
    });
    const plan: Plan = {
      formatVersion: 1,
      slots: this.#slots,
      given: this.#slots.slice(0, given).map((slot) => slot.name),
      lanes: decoded as Plan['lanes'],
    };
    checkPlan(plan);
    return plan;
  }

  /** Slots that some step fills with a pid; all others hold descriptors. */
  #findPids(steps: number): void {
    for (let i = 0; i < steps; i++) {
      const at = HEADER.size + i * STEP.size;
      this.#kind(at).outputs.forEach((output, j) => {
        const number = this.#bytes.readInt32LE(at + STEP.output + 4 * j);
        const slot = this.#slots[number];
        if (slot && output.letter === 'p') slot.type = 'pid';
      });
    }
  }

  #kind(at: number): KindInfo {
    const number = this.#bytes.readUInt16LE(at + STEP.kind);
    return STEP_KINDS[number] ?? refuse(`there is no step kind ${number}`);
  }

  #step(at: number): Step {
    const info = this.#kind(at);
    this.#expect(`${info.kind}'s inputs`, this.#bytes[at + STEP.inputs] as number, info.inputs.length);
    this.#expect(`${info.kind}'s outputs`, this.#bytes[at + STEP.outputs] as number, info.outputs.length);
    const outputs: Record<string, Slot> = {};
    info.outputs.forEach((output, i) => {
      const number = this.#bytes.readInt32LE(at + STEP.output + 4 * i);
      if (number !== SLOT_NONE) outputs[output.name] = this.#slot(number);
    });
    const inputs: Record<string, unknown> = {};
    info.inputs.forEach((input, i) => {
      inputs[input.name] = this.#input(at + STEP.input + 8 * i, input.letter);
    });
    const guardIf = this.#bytes.readInt16LE(at + STEP.guardIf);
    const guardUnless = this.#bytes.readInt16LE(at + STEP.guardUnless);
    const tolerate = [0, 2]
      .map((offset) => this.#bytes.readInt16LE(at + STEP.tolerate + offset))
      .filter((number) => number !== 0)
      .map(errnoName);
    return {
      kind: info.kind,
      inputs,
      outputs,
      ...(guardIf !== SLOT_NONE && { guardIf: this.#slot(guardIf) }),
      ...(guardUnless !== SLOT_NONE && { guardUnless: this.#slot(guardUnless) }),
      ...(tolerate.length > 0 && { tolerate }),
      field: '',
      why: '',
    } as unknown as Step;
  }

  #input(at: number, letter: KindInfo['inputs'][number]['letter']): unknown {
    const signed = this.#bytes.readBigInt64LE(at);
    switch (letter) {
      case 'd':
        if (signed === BigInt(SLOT_CWD)) return 'cwd';
        return signed === BigInt(SLOT_NONE) ? 'none' : this.#slot(Number(signed));
      case 'p':
        return signed === BigInt(SLOT_NONE) ? 'self' : this.#slot(Number(signed));
      case 'l':
        return this.#lanes[Number(signed)] ?? refuse(`there is no lane ${signed}`);
      case 's':
        return this.#string(at);
      case 'b':
        return Uint8Array.from(this.#range(this.#bytes.readUInt32LE(at), this.#bytes.readUInt32LE(at + 4)));
      case 'v': {
        const offset = this.#bytes.readUInt32LE(at);
        const count = this.#bytes.readUInt32LE(at + 4);
        if (offset % 8 !== 0) refuse('an array of strings is not aligned');
        this.#range(offset, count * 8);
        return Array.from({ length: count }, (_, i) => this.#string(this.#data + offset + 8 * i));
      }
      case 'u': {
        const value = this.#bytes.readBigUInt64LE(at);
        return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
      }
      case 'i':
        return Number(signed);
    }
  }

  #string(at: number): string {
    const length = this.#bytes.readUInt32LE(at + 4);
    const range = this.#range(this.#bytes.readUInt32LE(at), length + 1);
    if (range.indexOf(0) !== length) refuse('a string does not end where it says');
    if (!isUtf8(range)) refuse('a string is not UTF-8');
    return range.toString('utf8', 0, length);
  }

  #range(offset: number, length: number): Buffer {
    const start = this.#data + offset;
    if (start + length > this.#bytes.length) refuse('something lies beyond its end');
    return this.#bytes.subarray(start, start + length);
  }

  #slot(number: number): Slot {
    return this.#slots[number] ?? refuse(`there is no slot ${number}`);
  }

  #count(what: string, at: number, most: number): number {
    const count = this.#bytes.readUInt32LE(at);
    return count <= most ? count : refuse(`${count} ${what}; at most ${most} can be had`);
  }

  #expect(what: string, found: number, wanted: number): void {
    if (found !== wanted) refuse(`its ${what} is ${found}, and ${wanted} is wanted`);
  }
}

function refuse(what: string): never {
  throw new TareError('plan', `malformed plan: ${what}`);
}
