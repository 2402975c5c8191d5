/**
 * The little of eBPF that a device program needs: the instructions, their bytes, and an assembler whose jumps name labels.
 * Eleven 64-bit registers; r1 is the context at the start, r0 the answer at the exit. The verifier refuses jumps
 * backwards (before Linux 5.3) and code that nothing reaches. bpf(2), <linux/bpf.h>, Documentation/bpf/standardization/instruction-set.rst.
 */
import { TareError } from '../error.js';

/** One struct bpf_insn. */
export interface Instruction {
  readonly code: number;
  readonly dst: Register;
  readonly src: Register;
  /** Of a load: bytes from the address in `src`. Of a jump: instructions to skip when it is taken. */
  readonly offset: number;
  /** A signed 32-bit operand, which is extended to 64 bits. */
  readonly immediate: number;
}

export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** Class, size, mode and operation of <linux/bpf.h> and <linux/bpf_common.h>, put together. */
export const LOAD_WORD = 0x61; // dst = *(u32 *)(src + offset)
export const MOVE = 0xb7; // dst = immediate
export const COPY = 0xbf; // dst = src
export const AND = 0x57; // dst &= immediate
export const SHIFT_RIGHT = 0x77; // dst >>= immediate, zeros come in
export const JUMP_EQUAL = 0x15; // dst == immediate
export const JUMP_NOT_EQUAL = 0x55; // dst != immediate
export const JUMP_ANY_BIT = 0x45; // dst & immediate
export const EXIT = 0x95;

/** BPF_MAXINSNS: what every kernel takes. */
export const MAX_INSTRUCTIONS = 4096;
const INSTRUCTION_SIZE = 8;

/** A place in the program that jumps can be made to, before it is known where it is. */
export class Label {
  /** Index of the instruction that it stands before. */
  place: number | undefined;
  /** Whether a jump was made to it: code behind it that is reached by no other way is refused by the verifier. */
  used = false;
}

/** Collects instructions in order; `encode` then gives jumps their distances. */
export class Assembler {
  readonly #instructions: (Instruction & { readonly to?: Label })[] = [];

  load(dst: Register, src: Register, offset: number): void {
    this.#add(LOAD_WORD, dst, { src, offset });
  }

  move(dst: Register, immediate: number): void {
    this.#add(MOVE, dst, { immediate });
  }

  copy(dst: Register, src: Register): void {
    this.#add(COPY, dst, { src });
  }

  and(dst: Register, immediate: number): void {
    this.#add(AND, dst, { immediate });
  }

  shiftRight(dst: Register, bits: number): void {
    this.#add(SHIFT_RIGHT, dst, { immediate: bits });
  }

  /** Goes to the label when the comparison with `immediate` holds, else on to the next instruction. */
  jump(
    code: typeof JUMP_EQUAL | typeof JUMP_NOT_EQUAL | typeof JUMP_ANY_BIT,
    dst: Register,
    immediate: number,
    to: Label,
  ): void {
    to.used = true;
    this.#add(code, dst, { immediate, to });
  }

  /** Ends the program with this answer. */
  answer(value: number): void {
    this.move(0, value);
    this.#add(EXIT, 0, {});
  }

  /** Puts the label before the next instruction. */
  place(label: Label): void {
    label.place = this.#instructions.length;
  }

  get size(): number {
    return this.#instructions.length;
  }

  /** The array of struct bpf_insn as the kernel takes it, little endian. */
  encode(): Uint8Array {
    const bytes = new Uint8Array(this.size * INSTRUCTION_SIZE);
    const view = new DataView(bytes.buffer);
    for (const [i, { code, dst, src, offset, immediate, to }] of this.#instructions.entries()) {
      const at = i * INSTRUCTION_SIZE;
      view.setUint8(at, code);
      view.setUint8(at + 1, (src << 4) | dst);
      view.setInt16(at + 2, to ? distance(i, to) : offset, true);
      view.setInt32(at + 4, immediate, true);
    }
    return bytes;
  }

  #add(code: number, dst: Register, more: { src?: Register; offset?: number; immediate?: number; to?: Label }): void {
    this.#instructions.push({ code, dst, src: 0, offset: 0, immediate: 0, ...more });
  }
}

/** Instructions to skip from the one at `from`: 0 is the next one. */
function distance(from: number, { place }: Label): number {
  const skipped = place === undefined ? -1 : place - from - 1;
  if (skipped < 0) throw new TareError('internal', 'an eBPF jump goes backwards, or to a label that was never placed');
  return skipped;
}
