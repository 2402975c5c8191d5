import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TareError } from '../../runtime/kernel/error.js';
import { returnValue } from '../../runtime/kernel/seccomp/actions.js';
import {
  AUDIT_ARCH,
  checkProgram,
  compileSeccomp,
  decide,
  decodeProgram,
  interpret,
  RET,
  type SeccompData,
  type SeccompProfile,
  syscallTable,
} from '../../runtime/kernel/seccomp/index.js';
import { anyAction, calls, evaluate, profiles } from './oracle.js';

const native = { native: 'x86_64' } as const;
const nr = (name: string) => syscallTable('x86_64').get(name) as number;

/** What a profile says by the rule that is said to decide. */
function answerOf(profile: SeccompProfile, data: SeccompData): number {
  const { by, rule = 0 } = decide(profile, data, native);
  if (by === 'architecture') return RET.KILL_PROCESS;
  if (by === 'newer') return RET.ERRNO + 38;
  const decides = by === 'rule' ? profile.syscalls?.[rule] : undefined;
  if (decides) return returnValue(decides.action, decides.errnoRet, '', '');
  return returnValue(profile.defaultAction, profile.defaultErrnoRet, '', '');
}

/** What the filter of a profile answers to a call of x86_64. */
function answer(profile: SeccompProfile, name: string | number, ...args: bigint[]): number {
  const number = typeof name === 'string' ? nr(name) : name;
  return interpret(compileSeccomp(profile, native).program, { nr: number, arch: AUDIT_ARCH.x86_64, args });
}

describe('the compiled filter says what the profile says', () => {
  test('for any profile and any call', () => {
    fc.assert(
      fc.property(
        profiles(anyAction).chain((profile) =>
          fc.tuple(fc.constant(profile), fc.array(calls(profile), { minLength: 20, maxLength: 20 })),
        ),
        ([profile, list]) => {
          const { program } = compileSeccomp(profile, native);
          const code = decodeProgram(program);
          checkProgram(code);
          for (const data of list) {
            expect([data, interpret(code, data)]).toEqual([data, evaluate(profile, data)]);
            expect([data, answerOf(profile, data)]).toEqual([data, evaluate(profile, data)]);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('each operator, at the borders of the two halves', () => {
    const borders = [0n, 1n, 0xfffffffen, 0xffffffffn, 0x100000000n, 0x100000001n, 0x1ffffffffn, 0xffffffffffffffffn];
    for (const op of ['EQ', 'NE', 'LT', 'LE', 'GE', 'GT', 'MASKED_EQ']) {
      for (const value of borders) {
        const profile = {
          defaultAction: 'SCMP_ACT_ERRNO',
          syscalls: [
            {
              names: ['ioctl'],
              action: 'SCMP_ACT_ALLOW',
              args: [{ index: 2, op: `SCMP_CMP_${op}`, value, valueTwo: 1 }],
            },
          ],
        };
        for (const arg of borders) {
          const data = { nr: nr('ioctl'), arch: AUDIT_ARCH.x86_64, args: [0n, 0n, arg] };
          const says = interpret(compileSeccomp(profile, native).program, data);
          expect([op, value, arg, says]).toEqual([op, value, arg, evaluate(profile, data)]);
        }
      }
    }
  });
});

describe('conflicts, as runc settles them', () => {
  const deny = {
    names: ['ioctl'],
    action: 'SCMP_ACT_ERRNO',
    errnoRet: 5,
    args: [{ index: 1, op: 'SCMP_CMP_EQ', value: 7 }],
  };
  const allow = { names: ['ioctl'], action: 'SCMP_ACT_ALLOW' };

  test('a rule without arguments wins, wherever it stands', () => {
    for (const syscalls of [
      [deny, allow],
      [allow, deny],
    ]) {
      expect(answer({ defaultAction: 'SCMP_ACT_KILL', syscalls }, 'ioctl', 0n, 7n)).toBe(RET.ALLOW);
    }
  });

  test('of rules with arguments the first that matches decides', () => {
    const all = { ...allow, args: [{ index: 1, op: 'SCMP_CMP_GE', value: 0 }] };
    expect(answer({ defaultAction: 'SCMP_ACT_KILL', syscalls: [deny, all] }, 'ioctl', 0n, 7n)).toBe(RET.ERRNO + 5);
    expect(answer({ defaultAction: 'SCMP_ACT_KILL', syscalls: [all, deny] }, 'ioctl', 0n, 7n)).toBe(RET.ALLOW);
  });

  test('several conditions on one argument are alternatives, on different ones all must hold', () => {
    const value = (index: number, value: number) => ({ index, op: 'SCMP_CMP_EQ', value });
    const one = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ ...allow, args: [value(1, 7), value(1, 8)] }] };
    expect([7n, 8n, 9n].map((n) => answer(one, 'ioctl', 0n, n))).toEqual([RET.ALLOW, RET.ALLOW, RET.ERRNO + 1]);
    const two = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ ...allow, args: [value(1, 7), value(2, 8)] }] };
    expect([answer(two, 'ioctl', 0n, 7n, 8n), answer(two, 'ioctl', 0n, 7n, 7n)]).toEqual([RET.ALLOW, RET.ERRNO + 1]);
  });

  test('calls newer than the profile get ENOSYS, unless the default lets calls pass', () => {
    const syscalls = [{ names: ['read', 'openat2'], action: 'SCMP_ACT_ALLOW' }];
    expect(answer({ defaultAction: 'SCMP_ACT_KILL', syscalls }, 'openat2')).toBe(RET.ALLOW);
    expect(answer({ defaultAction: 'SCMP_ACT_KILL', syscalls }, 'mseal')).toBe(RET.ERRNO + 38);
    expect(answer({ defaultAction: 'SCMP_ACT_KILL', syscalls }, 'write')).toBe(RET.KILL_THREAD);
    expect(answer({ defaultAction: 'SCMP_ACT_LOG', syscalls }, 'mseal')).toBe(RET.LOG);
  });
});

describe('architectures', () => {
  const profile = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['getpid'], action: 'SCMP_ACT_ERRNO', errnoRet: 7 }],
  };
  const on = (more: object, arch: number, number: number, at: 'x86_64' | 'arm64' = 'x86_64') =>
    interpret(compileSeccomp({ ...profile, ...more }, { native: at }).program, { nr: number, arch, args: [] });

  test('one that is not listed is killed: the way round a filter by int 0x80 and by x32 is closed', () => {
    expect(on({}, AUDIT_ARCH.x86, 20)).toBe(RET.KILL_PROCESS);
    expect(on({}, AUDIT_ARCH.x86_64, 0x40000000 + 39)).toBe(RET.KILL_PROCESS);
    expect(on({}, AUDIT_ARCH.arm64, 172)).toBe(RET.KILL_PROCESS);
  });

  test('one that is listed has its own numbers', () => {
    const architectures = ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'];
    expect(on({ architectures }, AUDIT_ARCH.x86_64, 39)).toBe(RET.ERRNO + 7);
    expect(on({ architectures }, AUDIT_ARCH.x86, 20)).toBe(RET.ERRNO + 7);
    expect(on({ architectures }, AUDIT_ARCH.x86, 39)).toBe(RET.ALLOW); // mkdir
    expect(on({ architectures }, AUDIT_ARCH.x86_64, 0x40000000 + 39)).toBe(RET.ERRNO + 7);
    expect(on({ architectures: ['SCMP_ARCH_AARCH64'] }, AUDIT_ARCH.arm64, 172, 'arm64')).toBe(RET.ERRNO + 7);
    expect(on({}, AUDIT_ARCH.x86_64, 39, 'arm64')).toBe(RET.KILL_PROCESS);
  });

  test('the number -1, by which a tracer skips a call, is no number of x32', () => {
    expect(on({}, AUDIT_ARCH.x86_64, 0xffffffff)).toBe(RET.ALLOW);
  });
});

describe('what is refused, with the field that is wrong', () => {
  const rule = { names: ['read'], action: 'SCMP_ACT_ALLOW' };
  const arg = { index: 0, op: 'SCMP_CMP_EQ', value: 0 };
  const base = { defaultAction: 'SCMP_ACT_ERRNO' };
  test.each<[string, SeccompProfile]>([
    ['linux.seccomp.defaultAction', { defaultAction: 'SCMP_ACT_MAYBE' }],
    ['linux.seccomp.defaultAction', { defaultAction: 'constructor' }],
    ['linux.seccomp.defaultAction', { defaultAction: 'SCMP_ACT_NOTIFY' }],
    ['linux.seccomp.defaultErrnoRet', { defaultAction: 'SCMP_ACT_ALLOW', defaultErrnoRet: 1 }],
    ['linux.seccomp.defaultErrnoRet', { defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 4096 }],
    ['linux.seccomp.architectures[1]', { ...base, architectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_VAX'] }],
    ['linux.seccomp.flags[0]', { ...base, flags: ['SECCOMP_FILTER_FLAG_FAST'] }],
    ['linux.seccomp.syscalls[1].action', { ...base, syscalls: [rule, { ...rule, action: 'ALLOW' }] }],
    ['linux.seccomp.syscalls[0].errnoRet', { ...base, syscalls: [{ ...rule, errnoRet: 1 }] }],
    ['linux.seccomp.syscalls[0].names', { ...base, syscalls: [{ ...rule, names: [] }] }],
    ['linux.seccomp.syscalls[0].args[1].op', { ...base, syscalls: [{ ...rule, args: [arg, { ...arg, op: 'EQ' }] }] }],
    ['linux.seccomp.syscalls[0].args[0].index', { ...base, syscalls: [{ ...rule, args: [{ ...arg, index: 6 }] }] }],
    [
      'linux.seccomp.syscalls[0].args[0].value',
      { ...base, syscalls: [{ ...rule, args: [{ ...arg, value: 2 ** 64 }] }] },
    ],
    ['linux.seccomp.syscalls[0].args[0].value', { ...base, syscalls: [{ ...rule, args: [{ ...arg, value: -1 }] }] }],
  ])('%s', (path, profile) => {
    const error = caught(() => compileSeccomp(profile, native));
    expect([error.code, error.path]).toEqual(['config', path]);
    expect(error.message).toContain(path);
  });

  test('an unknown name of a system call is none of them: it is told, and has no effect', () => {
    const { unknown } = compileSeccomp({ ...base, syscalls: [{ ...rule, names: ['read', 'frobnicate'] }] }, native);
    expect(unknown).toEqual(['frobnicate']);
  });

  test('a program beyond 4,096 instructions', () => {
    const many = Array.from({ length: 900 }, (_, value) => ({ ...rule, args: [{ ...arg, value }] }));
    expect(caught(() => compileSeccomp({ ...base, syscalls: many }, native)).code).toBe('config');
  });
});

test('flags: as asked, SPEC_ALLOW when none are, and a listener when a rule asks for one', () => {
  const flags = (more: object) => compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', ...more }, native).flags;
  const syscalls = [{ names: ['mkdir'], action: 'SCMP_ACT_NOTIFY' }];
  expect(flags({})).toBe(4);
  expect(flags({ flags: [] })).toBe(0);
  expect(flags({ flags: ['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_TSYNC'] })).toBe(2);
  expect(flags({ flags: [], syscalls })).toBe(8);
  expect(flags({ flags: ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'], syscalls })).toBe(32 | 8);
  expect(flags({ flags: ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'] })).toBe(0);
});

function caught(run: () => unknown): TareError {
  try {
    run();
  } catch (error) {
    if (error instanceof TareError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
