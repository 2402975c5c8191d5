/** A machine for the instructions that ebpf.ts can make, strict as the kernel's verifier: forward jumps, no dead code, an answer. */
import {
  AND,
  COPY,
  EXIT,
  JUMP_ANY_BIT,
  JUMP_EQUAL,
  JUMP_NOT_EQUAL,
  LOAD_WORD,
  MAX_INSTRUCTIONS,
  MOVE,
  SHIFT_RIGHT,
} from '../../../runtime/kernel/cgroup/ebpf.js';

interface Decoded {
  readonly code: number;
  readonly dst: number;
  readonly src: number;
  readonly offset: number;
  readonly immediate: number;
}

export function decode(bytes: Uint8Array): Decoded[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, i) => ({
    code: view.getUint8(8 * i),
    dst: view.getUint8(8 * i + 1) & 15,
    src: view.getUint8(8 * i + 1) >> 4,
    offset: view.getInt16(8 * i + 2, true),
    immediate: view.getInt32(8 * i + 4, true),
  }));
}

const JUMPS = [JUMP_EQUAL, JUMP_NOT_EQUAL, JUMP_ANY_BIT];

/** Why the verifier would refuse the program, or undefined. */
export function refusal(bytes: Uint8Array): string | undefined {
  const program = decode(bytes);
  if (program.length === 0 || program.length > MAX_INSTRUCTIONS) return 'its size';
  const reached = new Set([0]);
  for (const [at, { code, offset }] of program.entries()) {
    if (!reached.has(at)) return `instruction ${at} is never reached`;
    if (code === EXIT) continue;
    reached.add(at + 1);
    if (JUMPS.includes(code)) {
      if (offset < 0) return `instruction ${at} jumps backwards`;
      reached.add(at + 1 + offset);
    }
  }
  return Math.max(...reached) < program.length ? undefined : 'it runs out of its end';
}

/** Runs the program with r1 pointing to these 32-bit words, and gives r0. */
export function run(bytes: Uint8Array, context: readonly number[]): number {
  const program = decode(bytes);
  const registers: (number | undefined)[] = [undefined, 0];
  const read = (register: number): number => {
    const value = registers[register];
    if (value === undefined) throw new Error(`r${register} is read before it is written`);
    return value;
  };
  for (let at = 0; ; at++) {
    const { code, dst, src, offset, immediate } = program[at] as Decoded;
    if (code === EXIT) return read(0);
    if (code === LOAD_WORD) registers[dst] = word(context, read(src) + offset);
    else if (code === MOVE) registers[dst] = immediate;
    else if (code === COPY) registers[dst] = read(src);
    else if (code === AND) registers[dst] = (read(dst) & immediate) >>> 0;
    else if (code === SHIFT_RIGHT) registers[dst] = read(dst) >>> immediate;
    else if (code === JUMP_EQUAL) at += read(dst) === immediate ? offset : 0;
    else if (code === JUMP_NOT_EQUAL) at += read(dst) !== immediate ? offset : 0;
    else if (code === JUMP_ANY_BIT) at += (read(dst) & immediate) !== 0 ? offset : 0;
    else throw new Error(`instruction ${at} has the unknown code 0x${code.toString(16)}`);
  }
}

function word(context: readonly number[], offset: number): number {
  const value = context[offset / 4];
  if (value === undefined) throw new Error(`no word of the context is at ${offset}`);
  return value;
}
