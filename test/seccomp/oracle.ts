/**
 * What a profile means, said a second time and in the plainest way: rule by rule, on whole 64 bit numbers, without a
 * compiler. The tests hold the compiled filter against it. Generators for profiles and system calls are here too.
 */
import fc from 'fast-check';
import {
  type Architecture,
  AUDIT_ARCH,
  RET,
  type SeccompData,
  type SeccompProfile,
  type SyscallArg,
  type SyscallRule,
  syscallTable,
  X32_BIT,
} from '../../runtime/kernel/seccomp/index.js';

const OCI: Record<string, Architecture> = {
  SCMP_ARCH_X86_64: 'x86_64',
  SCMP_ARCH_X86: 'x86',
  SCMP_ARCH_X32: 'x32',
};

/** On an x86_64 machine. */
export function evaluate(profile: SeccompProfile, data: SeccompData): number {
  const allowed = new Set<Architecture>([
    'x86_64',
    ...(profile.architectures ?? []).map((name) => OCI[name] as Architecture),
  ]);
  const skipped = data.nr === 0xffffffff;
  const architecture = architectureOf(data);
  const otherwise = value(profile.defaultAction, profile.defaultErrnoRet);
  if (architecture === undefined || (!allowed.has(architecture) && !(skipped && architecture === 'x32')))
    return RET.KILL_PROCESS;
  if (skipped && AUDIT_ARCH[architecture] === AUDIT_ARCH.x86_64) return otherwise;

  const table = syscallTable(architecture);
  const rules = (profile.syscalls ?? []).filter((rule) => rule.names.some((name) => table.get(name) === data.nr));
  const named = (profile.syscalls ?? []).flatMap((rule) => rule.names.flatMap((name) => table.get(name) ?? []));
  const lets = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'].includes(profile.defaultAction);
  if (named.length > 0 && data.nr > Math.max(...named) && !lets) return RET.ERRNO + 38;

  const effective = rules.filter((rule) => value(rule.action, rule.errnoRet) !== otherwise);
  const rule = effective.find((one) => !one.args?.length) ?? effective.find((one) => matches(one, data));
  return rule ? value(rule.action, rule.errnoRet) : otherwise;
}

function architectureOf({ arch, nr }: SeccompData): Architecture | undefined {
  if (arch === AUDIT_ARCH.x86) return 'x86';
  if (arch !== AUDIT_ARCH.x86_64) return undefined;
  return nr >= X32_BIT ? 'x32' : 'x86_64';
}

function value(action: string, errno = 1): number {
  const name = action.replace('SCMP_ACT_', '');
  if (name === 'ERRNO' || name === 'TRACE') return RET[name] + errno;
  if (name === 'KILL') return RET.KILL_THREAD;
  return RET[name === 'NOTIFY' ? 'USER_NOTIF' : (name as keyof typeof RET)];
}

function matches(rule: SyscallRule, { args }: SeccompData): boolean {
  const conditions = rule.args ?? [];
  const holds = (arg: SyscallArg) => compare(arg, args[arg.index] ?? 0n);
  const repeated = new Set(conditions.map((arg) => arg.index)).size < conditions.length;
  return repeated ? conditions.some(holds) : conditions.every(holds);
}

function compare({ op, value, valueTwo = 0 }: SyscallArg, arg: bigint): boolean {
  switch (op) {
    case 'SCMP_CMP_EQ':
      return arg === BigInt(value);
    case 'SCMP_CMP_NE':
      return arg !== BigInt(value);
    case 'SCMP_CMP_LT':
      return arg < BigInt(value);
    case 'SCMP_CMP_LE':
      return arg <= BigInt(value);
    case 'SCMP_CMP_GE':
      return arg >= BigInt(value);
    case 'SCMP_CMP_GT':
      return arg > BigInt(value);
    case 'SCMP_CMP_MASKED_EQ':
      return (arg & BigInt(value)) === (BigInt(valueTwo) & BigInt(value));
    default:
      throw new Error(op);
  }
}

/** Close together, and at the borders of the halves, so that rules and calls meet. */
const word: fc.Arbitrary<bigint> = fc.oneof(
  fc.bigInt({ min: 0n, max: 4n }),
  fc.constantFrom(0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0x100000001n, 0x1ffffffffn),
  fc.constantFrom(0x7fffffffffffffffn, 0x8000000000000000n, 0xffffffff00000000n, 0xffffffffffffffffn),
  fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
);

const operator = fc.constantFrom('EQ', 'NE', 'LT', 'LE', 'GE', 'GT', 'MASKED_EQ').map((op) => `SCMP_CMP_${op}`);

const arg: fc.Arbitrary<SyscallArg> = fc.record({ index: fc.nat(5), op: operator, value: word, valueTwo: word });

const names = [...new Set([...syscallTable('x86_64').keys(), ...syscallTable('x86').keys(), 'a_call_to_come'])];
/** Few, so that several rules are about one call; and the whole list, for the tree. */
const name = fc.oneof(fc.constantFrom('read', 'write', 'ioctl', 'socket', 'clone', 'mseal'), fc.constantFrom(...names));

/** Actions that never let a call through. */
export const refusing = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.integer({ min: 1, max: 4000 }).map((errnoRet) => ({ action: 'SCMP_ACT_ERRNO', errnoRet })),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('KILL', 'KILL_PROCESS', 'KILL_THREAD', 'TRAP').map((a) => ({ action: `SCMP_ACT_${a}` })),
  },
);
export const anyAction = fc.oneof(
  refusing,
  fc.constantFrom('ALLOW', 'LOG', 'NOTIFY').map((a) => ({ action: `SCMP_ACT_${a}` })),
  fc.nat(65535).map((errnoRet) => ({ action: 'SCMP_ACT_TRACE', errnoRet })),
);

export type Action = { action: string; errnoRet?: number };

export function profiles(action: fc.Arbitrary<Action>): fc.Arbitrary<SeccompProfile> {
  const rule = fc
    .record({
      names: fc.array(name, { minLength: 1, maxLength: 12 }),
      act: action,
      args: fc.option(fc.array(arg, { maxLength: 3 }), { nil: undefined }),
    })
    .map(({ names: list, act, args }): SyscallRule => ({ names: list, ...act, args }));
  return fc
    .record({
      act: action.filter((one) => one.action !== 'SCMP_ACT_NOTIFY'),
      architectures: fc.option(fc.subarray(Object.keys(OCI)), { nil: undefined }),
      syscalls: fc.array(rule, { maxLength: 25 }),
    })
    .map(({ act, architectures, syscalls }) => ({
      defaultAction: act.action,
      defaultErrnoRet: act.errnoRet,
      architectures,
      syscalls,
    }));
}

/** Calls that meet the rules of a profile: named numbers and their neighbours, arguments at and beside the rules' values. */
export function calls(profile: SeccompProfile): fc.Arbitrary<SeccompData> {
  const rules = profile.syscalls ?? [];
  const near = rules.flatMap((rule) =>
    (['x86_64', 'x86', 'x32'] as const).flatMap((architecture) =>
      rule.names.flatMap((one) => {
        const number = syscallTable(architecture).get(one);
        return number === undefined ? [] : [number, number, number, number + 1, Math.max(number - 1, 0)];
      }),
    ),
  );
  const values = rules.flatMap((rule) =>
    (rule.args ?? []).flatMap((one) => [
      BigInt(one.value),
      BigInt(one.value) + 1n,
      BigInt(one.value) - 1n,
      BigInt(one.valueTwo ?? 0),
    ]),
  );
  const close = values.map((one) => BigInt.asUintN(64, one));
  return fc.record({
    nr: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...near, 0) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(0, 1, X32_BIT - 1, X32_BIT, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff),
      },
      { weight: 1, arbitrary: fc.nat(500) },
    ),
    arch: fc.constantFrom(AUDIT_ARCH.x86_64, AUDIT_ARCH.x86_64, AUDIT_ARCH.x86, AUDIT_ARCH.arm64),
    args: fc.array(close.length ? fc.oneof(fc.constantFrom(...close), word) : word, { minLength: 6, maxLength: 6 }),
  });
}
