/**
 * Runs a seccomp filter as the kernel does: classic BPF over struct seccomp_data, with the subset of instructions that
 * seccomp_check_filter (kernel/seccomp.c) lets pass, and the checks that bpf_check_classic makes. For `tare seccomp explain`
 * and for tests, which hold it against the kernel itself.
 */
import { TareError } from '../error.js';
import { decodeProgram, type Instruction } from './bpf.js';

/** struct seccomp_data of <linux/seccomp.h>: what a filter sees of a system call. */
export interface SeccompData {
  /** The number, 32 bit. */
  readonly nr: number;
  /** AUDIT_ARCH_* of <linux/audit.h>. */
  readonly arch: number;
  readonly instructionPointer?: bigint;
  /** Up to six arguments; missing ones are 0. */
  readonly args: readonly bigint[];
}

/** Size of struct seccomp_data. */
const DATA_SIZE = 64;
const MEMORY_WORDS = 16;

/** Classes, sizes and modes, sources: the fields of a code. */
const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, RET: 6, MISC: 7 } as const;

/**
 * The value that the filter returns: an action of <linux/seccomp.h> and its data. `visit` is called with the position of each
 * instruction that is executed.
 *
 * @throws TareError `config` for a program that the kernel would refuse.
 */
export function interpret(
  program: Uint8Array | readonly Instruction[],
  data: SeccompData,
  visit?: (position: number) => void,
): number {
  const code = program instanceof Uint8Array ? decodeProgram(program) : program;
  checkProgram(code);
  const words = layOut(data);
  const memory = new Uint32Array(MEMORY_WORDS);
  let a = 0;
  let x = 0;
  for (let pc = 0; ; pc++) {
    visit?.(pc);
    const { code: op, jt, jf, k } = code[pc] as Instruction;
    switch (op & 0x07) {
      case CLASS.LD:
        a = load(op, k, words, memory);
        break;
      case CLASS.LDX:
        x = load(op, k, words, memory);
        break;
      case CLASS.ST:
        memory[k] = a;
        break;
      case CLASS.STX:
        memory[k] = x;
        break;
      case CLASS.ALU: {
        const operand = op & 0x08 ? x : k;
        if ((op & 0xf0) === 0x30 && operand === 0) return 0; // division by zero ends the filter with 0: kill
        a = compute(op & 0xf0, a, operand);
        break;
      }
      case CLASS.JMP:
        pc += (op & 0xf0) === 0 ? k : holds(op & 0xf0, a, op & 0x08 ? x : k) ? jt : jf;
        break;
      case CLASS.RET:
        return (op & 0x18) === 0x10 ? a : k;
      default:
        if (op & 0x80) a = x;
        else x = a;
    }
  }
}

/**
 * Refuses what the kernel refuses: an instruction that filters may not use, a load outside of seccomp_data, a jump out of
 * the program, an end without a return.
 *
 * @throws TareError `config`.
 */
export function checkProgram(program: readonly Instruction[]): void {
  for (const [pc, { code, jt, jf, k }] of program.entries()) {
    const refuse = (why: string): never => {
      throw new TareError('config', `BPF instruction ${pc} (code 0x${code.toString(16)}): ${why}`);
    };
    if (!ALLOWED.has(code)) refuse('seccomp does not allow it');
    if (code === 0x20 && (k >= DATA_SIZE || k % 4 !== 0)) refuse(`no word of seccomp_data is at ${k}`);
    if (MEMORY.has(code) && k >= MEMORY_WORDS) refuse(`there is no memory word ${k}`);
    if (code === 0x34 && k === 0) refuse('it divides by zero');
    if ((code === 0x64 || code === 0x74) && k >= 32) refuse(`it shifts by ${k}`);
    if ((code & 0x07) === CLASS.JMP) {
      const furthest = (code & 0xf0) === 0 ? k : Math.max(jt, jf);
      if (pc + 1 + furthest >= program.length) refuse('it jumps out of the program');
    }
  }
  if ((program.at(-1)?.code ?? 0) !== 0x06 && program.at(-1)?.code !== 0x16) {
    throw new TareError('config', 'the BPF program does not end with a return');
  }
}

/** LD|W|ABS, LD|W|LEN, LDX|W|LEN, LD|IMM, LDX|IMM; RET K and A; MISC TAX and TXA; then memory, ALU and jumps, below. */
const MEMORY = new Set([0x60, 0x61, 0x02, 0x03]);
const ALU_AND_JUMPS = [
  ...[0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0].flatMap((op) => [0x04 | op, 0x0c | op]),
  0x84, // NEG
  0x05, // JA
  ...[0x10, 0x20, 0x30, 0x40].flatMap((op) => [0x05 | op, 0x0d | op]),
];
const ALLOWED = new Set([0x20, 0x80, 0x81, 0x00, 0x01, 0x06, 0x16, 0x07, 0x87, ...MEMORY, ...ALU_AND_JUMPS]);

function load(code: number, k: number, words: Uint32Array, memory: Uint32Array): number {
  switch (code & 0xe0) {
    case 0x20:
      return words[k / 4] as number; // ABS
    case 0x60:
      return memory[k] as number; // MEM
    case 0x80:
      return DATA_SIZE; // LEN
    default:
      return k; // IMM
  }
}

function compute(operation: number, a: number, b: number): number {
  switch (operation) {
    case 0x00:
      return (a + b) >>> 0;
    case 0x10:
      return (a - b) >>> 0;
    case 0x20:
      return Math.imul(a, b) >>> 0;
    case 0x30:
      return Math.floor(a / b);
    case 0x40:
      return (a | b) >>> 0;
    case 0x50:
      return (a & b) >>> 0;
    case 0x60:
      return (a << b) >>> 0;
    case 0x70:
      return a >>> b;
    case 0x80:
      return -a >>> 0;
    default:
      return (a ^ b) >>> 0;
  }
}

function holds(operation: number, a: number, b: number): boolean {
  switch (operation) {
    case 0x10:
      return a === b;
    case 0x20:
      return a > b;
    case 0x30:
      return a >= b;
    default:
      return (a & b) !== 0; // JSET
  }
}

/** int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; the words of each 64 bit value low first. */
function layOut({ nr, arch, instructionPointer = 0n, args }: SeccompData): Uint32Array {
  const words = new Uint32Array(DATA_SIZE / 4);
  words[0] = nr >>> 0;
  words[1] = arch >>> 0;
  for (const [i, value] of [instructionPointer, ...args].slice(0, 7).entries()) {
    words[2 + 2 * i] = Number(BigInt.asUintN(32, value));
    words[3 + 2 * i] = Number(BigInt.asUintN(32, value >> 32n));
  }
  return words;
}
