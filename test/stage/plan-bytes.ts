/**
 * Plans as bytes for the tests of stage: a second reading of protocol.h and steps.def, on purpose independent of runtime/plan,
 * and able to write what its encoder refuses to. Inputs are given by position, slots by number.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../runtime/kernel/places.js';

export const NONE = -1;
export const CWD = -100;

export type Input = number | bigint | string | readonly string[] | Uint8Array;

export interface TestStep {
  readonly kind: string;
  readonly inputs: readonly Input[];
  readonly out: readonly number[];
  readonly guardIf: number;
  readonly guardUnless: number;
  readonly tolerate: readonly number[];
}

export interface TestPlan {
  readonly lanes: readonly (readonly TestStep[])[];
  readonly slots?: number;
  readonly given?: number;
}

export function step(kind: string, inputs: readonly Input[] = [], more: Partial<TestStep> = {}): TestStep {
  return { kind, inputs, out: [], guardIf: NONE, guardUnless: NONE, tolerate: [], ...more };
}

/** A last step that runs a line of shell on the host's own root file system. */
export function shell(line: string, more: Partial<TestStep> = {}): TestStep {
  return step('exec', [['/bin/sh'], ['sh', '-c', line], ['PATH=/usr/sbin:/usr/bin:/sbin:/bin']], more);
}

export const HEADER_SIZE = 88;
export const STEP_SIZE = 88;

export function planBytes(plan: TestPlan): Buffer {
  const steps = plan.lanes.flat();
  const data = new Data();
  const encoded = steps.map((one) => encodeStep(one, data));
  const head = Buffer.alloc(HEADER_SIZE);
  const size = HEADER_SIZE + steps.length * STEP_SIZE + data.size;
  head.write('TAREPLAN');
  head.writeUInt32LE(1, 8);
  head.writeUInt32LE(0xc000_003e, 12); // AUDIT_ARCH_X86_64
  createHash('sha256').update(STEPS_DEF).digest().copy(head, 16);
  head.writeUInt32LE(size, 48);
  head.writeUInt32LE(plan.slots ?? 16, 52);
  head.writeUInt32LE(plan.given ?? 0, 56);
  head.writeUInt32LE(plan.lanes.length, 60);
  plan.lanes.slice(0, 4).forEach((lane, i) => {
    head.writeUInt32LE(lane.length, 64 + 4 * i);
  });
  head.writeUInt32LE(HEADER_SIZE + steps.length * STEP_SIZE, 80);
  return Buffer.concat([head, ...encoded, ...data.parts]);
}

const STEPS_DEF = readFileSync(join(packageRoot(), 'native/stage/steps.def'), 'utf8');

const KINDS = [...STEPS_DEF.matchAll(/^STEP\((\w+),\s*"(\w*)",\s*"[^"]*",\s*"(\w*)"/gm)].map(
  ([, name = '', inputs = '', outputs = '']) => ({ name, inputs, outputs }),
);

export function kindNumber(name: string): number {
  const number = KINDS.findIndex((kind) => kind.name === name);
  if (number < 0) throw new Error(`steps.def has no ${name}`);
  return number;
}

function encodeStep(one: TestStep, data: Data): Buffer {
  const number = kindNumber(one.kind);
  const letters = KINDS[number]?.inputs ?? '';
  if (letters.length !== one.inputs.length) throw new Error(`${one.kind} has ${letters.length} inputs`);
  const bytes = Buffer.alloc(STEP_SIZE);
  bytes.writeUInt16LE(number, 0);
  bytes[2] = one.inputs.length;
  bytes[3] = KINDS[number]?.outputs.length ?? 0;
  bytes.writeInt16LE(one.guardIf, 4);
  bytes.writeInt16LE(one.guardUnless, 6);
  bytes.writeInt16LE(one.tolerate[0] ?? 0, 8);
  bytes.writeInt16LE(one.tolerate[1] ?? 0, 10);
  bytes.writeInt32LE(one.out[0] ?? NONE, 16);
  bytes.writeInt32LE(one.out[1] ?? NONE, 20);
  one.inputs.forEach((input, i) => {
    bytes.writeBigUInt64LE(data.word(input), 24 + 8 * i);
  });
  return bytes;
}

class Data {
  readonly parts: Buffer[] = [];
  size = 0;

  word(input: Input): bigint {
    if (typeof input === 'number' || typeof input === 'bigint') return BigInt.asUintN(64, BigInt(input));
    if (typeof input === 'string') return this.#string(input);
    if (input instanceof Uint8Array) return this.#add(Buffer.from(input), input.length);
    const words = input.map((text) => this.#string(text));
    const array = Buffer.alloc(words.length * 8);
    words.forEach((word, i) => {
      array.writeBigUInt64LE(word, 8 * i);
    });
    return this.#add(array, words.length);
  }

  #string(text: string): bigint {
    const bytes = Buffer.from(`${text}\0`);
    return this.#add(bytes, bytes.length - 1);
  }

  #add(bytes: Buffer, length: number): bigint {
    const word = (BigInt(length) << 32n) | BigInt(this.size);
    const padded = Buffer.alloc(Math.ceil(bytes.length / 8) * 8);
    bytes.copy(padded);
    this.parts.push(padded);
    this.size += padded.length;
    return word;
  }
}
