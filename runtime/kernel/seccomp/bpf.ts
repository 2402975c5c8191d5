/**
 * Classic BPF, the machine code of seccomp filters: an accumulator A, an index X, 16 words of memory, and jumps that only go
 * forward, by at most 255 instructions when they are conditional (<linux/filter.h>, <linux/bpf_common.h>,
 * Documentation/networking/filter.rst). Here are the instructions, their bytes, and an assembler with labels.
 */
import { TareError } from '../error.js';

/** One struct sock_filter. */
export interface Instruction {
  readonly code: number;
  /** Instructions to skip when the condition holds, and when not; 0 for all but conditional jumps. */
  readonly jt: number;
  readonly jf: number;
  /** An unsigned 32 bit operand. */
  readonly k: number;
}

/** Opcodes that the compiler makes. The interpreter knows all that the kernel takes in a filter. */
export const LD_ABS = 0x20; // A = word at k of struct seccomp_data
export const AND_K = 0x54; // A &= k
export const JA = 0x05; // skip k instructions
export const JEQ_K = 0x15;
export const JGT_K = 0x25; // unsigned
export const JGE_K = 0x35;
export const RET_K = 0x06;

/** BPF_MAXINSNS of <linux/bpf_common.h>. */
export const MAX_INSTRUCTIONS = 4096;
const MAX_CONDITIONAL_JUMP = 255;
const INSTRUCTION_SIZE = 8;

/** A place in the program, set by {@link Assembler.place}, of which jumps may be made before. */
export type Label = number & { readonly label: unique symbol };

/** No label: the next instruction. */
const NEXT = -1 as Label;
/** Which sides of a conditional jump are out of its reach. */
const FAR_YES = 1;
const FAR_NO = 2;

/**
 * Collects instructions whose jumps name labels, and gives them their offsets at the end. A conditional jump too far for its
 * eight bits gets an unconditional one beside it, which reaches everywhere. The columns of a table, not a list of objects: a
 * filter is compiled each time that a container starts, in a process that has just started itself.
 */
export class Assembler {
  readonly #code: number[] = [];
  readonly #k: number[] = [];
  readonly #yes: Label[] = [];
  readonly #no: Label[] = [];
  /** By label: the index of the instruction that it stands before. */
  readonly #places: number[] = [];

  label(): Label {
    return (this.#places.push(NEXT) - 1) as Label;
  }

  /** Puts the label before the next instruction. */
  place(label: Label): void {
    this.#places[label] = this.#code.length;
  }

  load(offset: number): void {
    this.#add(LD_ABS, offset);
  }

  and(mask: number): void {
    this.#add(AND_K, mask);
  }

  return(value: number): void {
    this.#add(RET_K, value);
  }

  /** Goes to `yes` if the comparison holds and to `no` if not; without a label, on to the next instruction. */
  jump(code: typeof JEQ_K | typeof JGT_K | typeof JGE_K, k: number, yes: Label = NEXT, no: Label = NEXT): void {
    this.#add(code, k, yes, no);
  }

  goto(label: Label): void {
    this.#add(JA, 0, label);
  }

  /** @throws TareError `config` beyond the kernel's 4,096 instructions. */
  assemble(): Instruction[] {
    const far = new Uint8Array(this.#code.length);
    let starts = this.#starts(far);
    // Lengthening one jump may put another out of reach, so look again until nothing changes.
    while (this.#findFar(far, starts)) starts = this.#starts(far);
    const program: Instruction[] = [];
    for (let i = 0; i < this.#code.length; i++) this.#emit(i, far[i] as number, starts, program);
    if (program.length > MAX_INSTRUCTIONS) {
      throw new TareError(
        'config',
        `the seccomp filter takes ${program.length} instructions, and the kernel at most ${MAX_INSTRUCTIONS}: use fewer rules or architectures`,
        { path: 'linux.seccomp' },
      );
    }
    return program;
  }

  #add(code: number, k: number, yes = NEXT, no = NEXT): void {
    this.#code.push(code);
    this.#k.push(k);
    this.#yes.push(yes);
    this.#no.push(no);
  }

  #emit(i: number, far: number, starts: Uint32Array, program: Instruction[]): void {
    const [code, k, yes, no] = [this.#code[i], this.#k[i], this.#yes[i], this.#no[i]] as [number, number, Label, Label];
    const at = program.length;
    if (code === JA) {
      program.push({ code, jt: 0, jf: 0, k: this.#distance(yes, at, starts) });
    } else if (far === 0) {
      program.push({ code, jt: this.#distance(yes, at, starts), jf: this.#distance(no, at, starts), k });
    } else {
      // jcc; [ja yes]; [ja no]: a far side lands on its long jump, "the next instruction" is behind both.
      const longYes = far & FAR_YES;
      const longNo = (far & FAR_NO) >> 1;
      const near = (label: Label) => (label === NEXT ? longYes + longNo : this.#distance(label, at, starts));
      program.push({ code, jt: longYes ? 0 : near(yes), jf: longNo ? longYes : near(no), k });
      if (longYes) program.push({ code: JA, jt: 0, jf: 0, k: this.#distance(yes, at + 1, starts) });
      if (longNo) program.push({ code: JA, jt: 0, jf: 0, k: this.#distance(no, at + 1 + longYes, starts) });
    }
  }

  /** Marks the jumps that are too far as things stand. True when there was one more. */
  #findFar(far: Uint8Array, starts: Uint32Array): boolean {
    let more = false;
    for (let i = 0; i < far.length; i++) {
      if (!isConditional(this.#code[i] as number)) continue;
      const at = starts[i] as number;
      let now = far[i] as number;
      if (this.#distance(this.#yes[i] as Label, at, starts) > MAX_CONDITIONAL_JUMP) now |= FAR_YES;
      if (this.#distance(this.#no[i] as Label, at, starts) > MAX_CONDITIONAL_JUMP) now |= FAR_NO;
      if (now !== far[i]) more = true;
      far[i] = now;
    }
    return more;
  }

  /** Position in the program of each instruction that was added, and behind the last of all. */
  #starts(far: Uint8Array): Uint32Array {
    const starts = new Uint32Array(far.length + 1);
    for (let i = 0, at = 0; i < far.length; i++) {
      const long = far[i] as number;
      at += 1 + (long & FAR_YES) + (long >> 1);
      starts[i + 1] = at;
    }
    return starts;
  }

  /** Instructions to skip from the one at `at` to a label. */
  #distance(label: Label, at: number, starts: Uint32Array): number {
    if (label === NEXT) return 0;
    const place = this.#places[label] as number;
    const distance = place === NEXT ? -1 : (starts[place] as number) - at - 1;
    if (distance < 0) throw new TareError('internal', 'a BPF jump goes backwards, or to a label that was never placed');
    return distance;
  }
}

/** JEQ, JGT, JGE and JSET, against k or X. */
export function isConditional(code: number): boolean {
  return (code & 0x07) === 0x05 && (code & 0xf0) !== 0x00;
}

/** The array of struct sock_filter as the kernel takes it, little endian: u16 code, u8 jt, u8 jf, u32 k. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * INSTRUCTION_SIZE);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { code, jt, jf, k } of program) {
    view.setUint16(at, code, true);
    view.setUint8(at + 2, jt);
    view.setUint8(at + 3, jf);
    view.setUint32(at + 4, k, true);
    at += INSTRUCTION_SIZE;
  }
  return bytes;
}

/** @throws TareError `config` when it is no whole number of instructions, from 1 to 4,096. */
export function decodeProgram(bytes: Uint8Array): Instruction[] {
  const count = bytes.length / INSTRUCTION_SIZE;
  if (!Number.isInteger(count) || count < 1 || count > MAX_INSTRUCTIONS) {
    throw new TareError(
      'config',
      `${bytes.length} bytes are no BPF program: it has 1 to ${MAX_INSTRUCTIONS} instructions of 8`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, i) => ({
    code: view.getUint16(i * INSTRUCTION_SIZE, true),
    jt: view.getUint8(i * INSTRUCTION_SIZE + 2),
    jf: view.getUint8(i * INSTRUCTION_SIZE + 3),
    k: view.getUint32(i * INSTRUCTION_SIZE + 4, true),
  }));
}
