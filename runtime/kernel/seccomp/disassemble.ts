/**
 * A BPF program as text, one instruction a line, with what it means for seccomp: which part of struct seccomp_data is loaded,
 * which action is returned, and the name of a system call where the number is compared and the architecture is known.
 */
import { describeReturn } from './actions.js';
import { AUDIT_ARCH, syscallName, X32_BIT } from './architectures.js';
import { AND_K, decodeProgram, type Instruction, isConditional, JA, JEQ_K, LD_ABS, RET_K } from './bpf.js';

/** What is known where an instruction stands, whichever way led there: jumps only go forward. */
interface Known {
  /** What was loaded last. */
  readonly loaded?: string;
  /** AUDIT_ARCH_*, once it has been compared. */
  readonly arch?: number;
}

/** The listing. Jump targets are line numbers. @throws TareError `config` when the bytes are no program. */
export function disassemble(program: Uint8Array | readonly Instruction[]): string[] {
  const code = program instanceof Uint8Array ? decodeProgram(program) : program;
  const known: (Known | undefined)[] = [{}];
  const reach = (at: number, more: Known) => {
    known[at] = known[at] === undefined ? more : common(known[at], more);
  };
  return code.map((instruction, at) => {
    const here = known[at] ?? {};
    const [text, note] = line(instruction, at, here);
    follow(instruction, at, here, reach);
    const number = String(at).padStart(String(code.length - 1).length);
    return note ? `${number}  ${text.padEnd(36)}; ${note}` : `${number}  ${text}`;
  });
}

function common(one: Known, other: Known): Known {
  return {
    ...(one.loaded === other.loaded && { loaded: one.loaded }),
    ...(one.arch === other.arch && { arch: one.arch }),
  };
}

/** Tells each instruction that may come next what is known there. */
function follow({ code, jt, jf, k }: Instruction, at: number, here: Known, reach: (at: number, known: Known) => void) {
  if (code === RET_K) return;
  if (code === JA) return reach(at + 1 + k, here);
  if (!isConditional(code)) return reach(at + 1, code === LD_ABS ? { ...here, loaded: fieldAt(k) } : here);
  reach(at + 1 + jt, code === JEQ_K && here.loaded === 'arch' ? { ...here, arch: k } : here);
  reach(at + 1 + jf, here);
}

function line(
  { code, jt, jf, k }: Instruction,
  at: number,
  { loaded, arch }: Known,
): [text: string, note?: string | undefined] {
  if (code === LD_ABS) return [`ld  [${k}]`, fieldAt(k)];
  if (code === AND_K) return [`and 0x${k.toString(16)}`];
  if (code === JA) return [`ja  ${at + 1 + k}`];
  if (code === RET_K) return [`ret 0x${k.toString(16).padStart(8, '0')}`, describeReturn(k)];
  if (isConditional(code)) {
    const name = { 16: 'jeq', 32: 'jgt', 48: 'jge', 64: 'jset' }[code & 0xf0] ?? 'j??';
    const operand = code & 0x08 ? 'x' : `0x${k.toString(16)}`;
    const called = arch === undefined || loaded !== 'number' ? undefined : numberName(arch, k);
    return [`${name} ${operand}, ${at + 1 + jt}, ${at + 1 + jf}`, loaded === 'arch' ? archName(k) : called];
  }
  return [`.word 0x${code.toString(16)}, ${jt}, ${jf}, 0x${k.toString(16)}`];
}

/** The first number of x32 is where its calls begin. */
function numberName(arch: number, number: number): string | undefined {
  return arch === AUDIT_ARCH.x32 && number === X32_BIT ? 'x32' : syscallName(arch, number);
}

function fieldAt(offset: number): string {
  if (offset === 0) return 'number';
  if (offset === 4) return 'arch';
  if (offset < 16) return `instruction pointer, ${offset === 8 ? 'low' : 'high'} half`;
  return `argument ${(offset - 16) >> 3}, ${offset % 8 === 0 ? 'low' : 'high'} half`;
}

function archName(value: number): string | undefined {
  return Object.entries(AUDIT_ARCH).find(([, number]) => number === value)?.[0];
}
