import { describe, expect, test } from 'vitest';
import {
  Assembler,
  decodeProgram,
  encodeProgram,
  type Instruction,
  JEQ_K,
  JGE_K,
} from '../../runtime/kernel/seccomp/bpf.js';
import { checkProgram, disassemble, interpret } from '../../runtime/kernel/seccomp/index.js';

const data = (nr: number) => ({ nr, arch: 0, args: [] });
const instruction = (code: number, k = 0, jt = 0, jf = 0): Instruction => ({ code, jt, jf, k });
const RETURN = instruction(0x06);

describe('jumps', () => {
  test.each([
    ['near', 3],
    ['the longest that eight bits hold', 255],
    ['one more', 256],
    ['far', 1000],
  ])('%s: both sides arrive', (_, distance) => {
    for (const far of ['yes', 'no', 'both'] as const) {
      const code = new Assembler();
      const [yes, no] = [code.label(), code.label()];
      code.load(0);
      code.jump(JEQ_K, 7, far === 'no' ? undefined : yes, far === 'yes' ? undefined : no);
      if (far !== 'both') code.return(far === 'yes' ? 2 : 1);
      for (let i = 0; i < distance; i++) code.and(0xffffffff);
      code.place(yes);
      code.place(no);
      if (far === 'both') code.return(3);
      else code.return(far === 'yes' ? 1 : 2);
      const program = code.assemble();
      expect([interpret(program, data(7)), interpret(program, data(8))]).toEqual(far === 'both' ? [3, 3] : [1, 2]);
    }
  });

  test('a jump that a longer one puts out of reach is made longer too', () => {
    const code = new Assembler();
    const [end, middle] = [code.label(), code.label()];
    code.load(0);
    code.jump(JGE_K, 100, middle);
    code.jump(JGE_K, 50, end);
    for (let i = 0; i < 254; i++) code.and(0xffffffff);
    code.place(middle);
    code.return(1);
    code.place(end);
    code.return(2);
    const program = code.assemble();
    expect([10, 60, 100].map((nr) => interpret(program, data(nr)))).toEqual([1, 2, 1]);
  });
});

test('bytes are struct sock_filter, little endian, and come back', () => {
  const program = [instruction(0x20, 4), instruction(0x15, 0xc000003e, 1, 2), RETURN];
  const bytes = encodeProgram(program);
  expect(Buffer.from(bytes).toString('hex')).toBe('2000000004000000' + '150001023e0000c0' + '0600000000000000');
  expect(decodeProgram(bytes)).toEqual(program);
  expect(() => decodeProgram(bytes.subarray(1))).toThrow('no BPF program');
  expect(() => decodeProgram(new Uint8Array())).toThrow('no BPF program');
});

describe('the interpreter refuses what the kernel refuses', () => {
  test.each<[string, Instruction[]]>([
    ['seccomp does not allow it', [instruction(0x28), RETURN]], // LD|H|ABS
    ['no word of seccomp_data', [instruction(0x20, 64), RETURN]],
    ['no word of seccomp_data', [instruction(0x20, 2), RETURN]],
    ['no memory word', [instruction(0x02, 16), RETURN]],
    ['divides by zero', [instruction(0x34, 0), RETURN]],
    ['shifts by 32', [instruction(0x64, 32), RETURN]],
    ['jumps out', [instruction(0x05, 1), RETURN]],
    ['jumps out', [instruction(0x15, 0, 0, 1), RETURN]],
    ['does not end with a return', [RETURN, instruction(0x07)]],
  ])('%s', (message, program) => {
    expect(() => checkProgram(program)).toThrow(message);
  });
});

test('the interpreter computes as BPF does: 32 bits, unsigned, X, memory and division', () => {
  const run = (...program: Instruction[]) => interpret([...program, instruction(0x16)], data(0x80000001));
  const load = instruction(0x20, 0);
  expect(run(load, instruction(0x04, 0x80000000))).toBe(1); // add
  expect(run(load, instruction(0x14, 2))).toBe(0x7fffffff); // sub
  expect(run(load, instruction(0x24, 3))).toBe(0x80000003); // mul
  expect(run(load, instruction(0x34, 2))).toBe(0x40000000); // div
  expect(run(load, instruction(0x64, 1))).toBe(2); // lsh
  expect(run(load, instruction(0x74, 31))).toBe(1); // rsh
  expect(run(load, instruction(0x84))).toBe(0x7fffffff); // neg
  expect(run(load, instruction(0x02, 3), instruction(0x00, 5), instruction(0x61, 3), instruction(0x87))).toBe(
    0x80000001,
  );
  expect(run(instruction(0x80))).toBe(64); // size of seccomp_data
  expect(interpret([load, instruction(0x3c), instruction(0x06, 9)], data(1))).toBe(0); // division by X = 0
});

test('the disassembler names what is loaded, compared and returned', () => {
  const lines = disassemble([
    instruction(0x20, 4),
    instruction(0x15, 0xc000003e, 0, 2),
    instruction(0x20, 28),
    instruction(0x05, 0),
    instruction(0x06, 0x00050026),
  ]);
  expect(lines[0]).toMatch(/^0 {2}ld {2}\[4\] +; arch$/);
  expect(lines[1]).toMatch(/^1 {2}jeq 0xc000003e, 2, 4 +; x86_64$/);
  expect(lines[2]).toMatch(/; argument 1, high half$/);
  expect(lines[3]).toBe('3  ja  4');
  expect(lines[4]).toMatch(/^4 {2}ret 0x00050026 +; errno ENOSYS$/);
});

test('the disassembler names system calls where it is known of which architecture they are', () => {
  const lines = disassemble([
    instruction(0x20, 4),
    instruction(0x15, 0x40000003, 3, 0), // x86
    instruction(0x20, 0),
    instruction(0x35, 39, 3, 3),
    instruction(0x06, 0),
    instruction(0x20, 0),
    instruction(0x15, 39, 0, 0),
    instruction(0x06, 0x7fff0000),
  ]);
  expect(lines[3]).toBe('3  jge 0x27, 7, 7');
  expect(lines[6]).toMatch(/^6 {2}jeq 0x27, 7, 7 +; mkdir$/);
});
