/**
 * A BPF program as text, one instruction a line, with what it means for seccomp: which part of struct seccomp_data is loaded,
 * which action is returned, and the name of a system call where the number is compared and the architecture is known.
 */
import { describeReturn } from './actions.js';
import { AUDIT_ARCH } from './architectures.js';
import { AND_K, decodeProgram, type Instruction, isConditional, JA, LD_ABS, RET_K } from './bpf.js';

/** The listing. Jump targets are line numbers. @throws TareError `config` when the bytes are no program. */
export function disassemble(program: Uint8Array | readonly Instruction[]): string[] {
  const code = program instanceof Uint8Array ? decodeProgram(program) : program;
  let loaded = '';
  return code.map((instruction, at) => {
    if (instruction.code === LD_ABS) loaded = fieldAt(instruction.k);
    const [text, note] = line(instruction, at, loaded);
    const number = String(at).padStart(String(code.length - 1).length);
    return note ? `${number}  ${text.padEnd(36)}; ${note}` : `${number}  ${text}`;
  });
}

function line(instruction: Instruction, at: number, loaded: string): [text: string, note?: string] {
  const { code, jt, jf, k } = instruction;
  if (code === LD_ABS) return [`ld  [${k}]`, loaded];
  if (code === AND_K) return [`and 0x${k.toString(16)}`];
  if (code === JA) return [`ja  ${at + 1 + k}`];
  if (code === RET_K) return [`ret 0x${k.toString(16).padStart(8, '0')}`, describeReturn(k)];
  if (isConditional(code)) {
    const name = { 16: 'jeq', 32: 'jgt', 48: 'jge', 64: 'jset' }[code & 0xf0] ?? 'j??';
    const operand = code & 0x08 ? 'x' : `0x${k.toString(16)}`;
    return [`${name} ${operand}, ${at + 1 + jt}, ${at + 1 + jf}`, loaded === 'arch' ? archName(k) : undefined];
  }
  return [`.word 0x${code.toString(16)}, ${jt}, ${jf}, 0x${k.toString(16)}`];
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
