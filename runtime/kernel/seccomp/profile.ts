/**
 * `linux.seccomp` of the OCI runtime specification, and what it means: for each architecture and system call number a list of
 * rules, of which the first that matches decides.
 *
 * Where the specification leaves things open, this does what runc with libseccomp does, so that a profile means the same here:
 *  - a name that no listed architecture has is ignored (a profile lists calls of kernels to come);
 *  - the machine's own architecture is always included, and calls of one that is not listed kill the process;
 *  - a rule whose action is the default action is dropped;
 *  - a rule without arguments wins over all rules of the same call that have some, wherever it stands; of several, the first;
 *  - bits that are not in the mask of SCMP_CMP_MASKED_EQ count on neither side, so that such a rule is not one that never holds;
 *  - the conditions of a rule must all hold, but several on one argument are alternatives;
 *  - unless the default action lets calls pass, a call newer than all that the profile names gets ENOSYS, not the default:
 *    C libraries then fall back to what they did before that call was there.
 * Of rules with arguments that overlap, the first in the profile decides; libseccomp has an order of its own there.
 */
import { TareError } from '../error.js';
import { ENOSYS, RET, returnValue } from './actions.js';
import { type Architecture, architectureOf, nativeArchitecture, syscallTable } from './architectures.js';

/** The object as the specification has it (config-linux.md, "Seccomp"); what concerns the listener is not read here. */
export interface SeccompProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly syscalls?: readonly SyscallRule[];
}

export interface SyscallRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly SyscallArg[];
}

export interface SyscallArg {
  /** 0 to 5. */
  readonly index: number;
  /** Unsigned, 64 bit. The mask of SCMP_CMP_MASKED_EQ. */
  readonly value: number | bigint;
  /** What the masked argument must be, for SCMP_CMP_MASKED_EQ. */
  readonly valueTwo?: number | bigint;
  readonly op: string;
}

const OPERATORS = ['EQ', 'NE', 'LT', 'LE', 'GE', 'GT', 'MASKED_EQ'] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Condition {
  readonly index: number;
  readonly op: Operator;
  readonly value: bigint;
  readonly valueTwo: bigint;
}

export interface Rule {
  /** All must hold. Empty: always. */
  readonly conditions: readonly Condition[];
  /** What the filter returns. */
  readonly returns: number;
  /** Which of the profile's `syscalls` it comes from, from 0. */
  readonly source: number;
}

export interface Policy {
  readonly defaultReturn: number;
  readonly architectures: readonly ArchitecturePolicy[];
  /** SECCOMP_FILTER_FLAG_* of <linux/seccomp.h>. */
  readonly flags: number;
  /** Names that none of the architectures has. */
  readonly unknown: readonly string[];
}

export interface ArchitecturePolicy {
  readonly architecture: Architecture;
  readonly rules: ReadonlyMap<number, readonly Rule[]>;
  /** Numbers above this one return `newerReturn`; null where no call of this architecture is named. */
  readonly newest: number | null;
  readonly newerReturn: number;
}

const FLAGS: Readonly<Record<string, number>> = {
  // Would give the filter to all threads: the process that loads it has one.
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
};
/** As the specification names them. */
export const OPERATOR_NAMES: readonly string[] = OPERATORS.map((operator) => `SCMP_CMP_${operator}`);
export const FLAG_NAMES: readonly string[] = Object.keys(FLAGS);

/** Set when a rule asks the listener. */
export const NEW_LISTENER = 8;

/** @throws TareError `config`, with the path of the field in config.json, for anything that the specification does not have. */
export function resolveProfile(
  profile: SeccompProfile,
  { native = nativeArchitecture(), path = 'linux.seccomp' }: { native?: Architecture; path?: string } = {},
): Policy {
  const { defaultAction, defaultErrnoRet } = profile;
  const defaultReturn = returnValue(defaultAction, defaultErrnoRet, `${path}.defaultAction`, `${path}.defaultErrnoRet`);
  if (defaultReturn === RET.USER_NOTIF) {
    const field = `${path}.defaultAction`;
    // The listener would have to be passed on by calls that wait for the listener.
    throw new TareError('config', `${field}: SCMP_ACT_NOTIFY cannot be the default action`, { path: field });
  }
  const rules = (profile.syscalls ?? []).map((rule, i) => resolveRule(rule, `${path}.syscalls[${i}]`));
  const architectures = listed(profile, native, path);
  const notifies = rules.some((rule) => rule.returns === RET.USER_NOTIF);
  return {
    defaultReturn,
    architectures: architectures.map((architecture) => resolveArchitecture(architecture, rules, defaultReturn)),
    flags: flagsOf(profile, notifies, path),
    unknown: unknownNames(rules, architectures),
  };
}

function unknownNames(rules: readonly ResolvedRule[], architectures: readonly Architecture[]): string[] {
  const tables = architectures.map(syscallTable);
  const names = rules.flatMap((rule) => rule.names.filter((name) => !tables.some((table) => table.has(name))));
  return [...new Set(names)];
}

interface ResolvedRule {
  readonly names: readonly string[];
  readonly returns: number;
  /** One list for each rule that this one stands for. */
  readonly alternatives: readonly (readonly Condition[])[];
}

/** The native one first. One that this machine cannot run needs no code: its calls never come. */
function listed(profile: SeccompProfile, native: Architecture, path: string): Architecture[] {
  const names = (profile.architectures ?? []).map((name, i) => architectureOf(name, `${path}.architectures[${i}]`));
  const runs: readonly (Architecture | null)[] = native === 'x86_64' ? ['x86', 'x32'] : [];
  return [...new Set([native, ...names.filter((name) => name !== null && runs.includes(name))])] as Architecture[];
}

function resolveRule(rule: SyscallRule, path: string): ResolvedRule {
  const returns = returnValue(rule.action, rule.errnoRet, `${path}.action`, `${path}.errnoRet`);
  if (rule.names.length === 0) throw new TareError('config', `${path}.names is empty`, { path: `${path}.names` });
  const conditions = (rule.args ?? []).map((arg, i) => resolveArg(arg, `${path}.args[${i}]`));
  const repeats = new Set(conditions.map((condition) => condition.index)).size < conditions.length;
  return { names: rule.names, returns, alternatives: repeats ? conditions.map((one) => [one]) : [conditions] };
}

function resolveArg(arg: SyscallArg, path: string): Condition {
  if (!Number.isInteger(arg.index) || arg.index < 0 || arg.index > 5) {
    throw new TareError('config', `${path}.index: a system call has arguments 0 to 5`, { path: `${path}.index` });
  }
  const op = OPERATORS[OPERATOR_NAMES.indexOf(arg.op)];
  if (!op) {
    throw new TareError('config', `${path}.op: there is no operator ${JSON.stringify(arg.op)}`, { path: `${path}.op` });
  }
  const value = unsigned(arg.value, `${path}.value`);
  const second = unsigned(arg.valueTwo ?? 0, `${path}.valueTwo`);
  return { index: arg.index, op, value, valueTwo: op === 'MASKED_EQ' ? second & value : second };
}

function unsigned(value: number | bigint, path: string): bigint {
  const exact = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (!exact || value < 0 || BigInt(value) > 0xffff_ffff_ffff_ffffn) {
    throw new TareError(
      'config',
      `${path}: ${value} is not an unsigned 64 bit integer, or beyond 2^53 and so not exact`,
      { path },
    );
  }
  return BigInt(value);
}

function resolveArchitecture(
  architecture: Architecture,
  rules: readonly ResolvedRule[],
  defaultReturn: number,
): ArchitecturePolicy {
  const table = syscallTable(architecture);
  const byNumber = new Map<number, readonly Rule[]>();
  let newest: number | null = null;
  for (const [source, { names, returns, alternatives }] of rules.entries()) {
    // One list for all names, copied only where a call has rules already.
    const list = alternatives.map((conditions): Rule => ({ conditions, returns, source }));
    const always = alternatives.some((conditions) => conditions.length === 0);
    for (const name of names) {
      const number = table.get(name);
      if (number === undefined) continue;
      if (newest === null || number > newest) newest = number;
      if (returns === defaultReturn) continue;
      const before = byNumber.get(number);
      if (before === undefined) byNumber.set(number, list);
      else if (isUnconditional(before)) continue;
      else byNumber.set(number, always ? list : [...before, ...list]);
    }
  }
  return {
    architecture,
    rules: byNumber,
    newest,
    newerReturn: lets(defaultReturn) ? defaultReturn : RET.ERRNO + ENOSYS,
  };
}

function isUnconditional([first]: readonly Rule[]): boolean {
  return first !== undefined && first.conditions.length === 0;
}

/** Whether calls pass; a tracer, too, answers for calls to come by itself. */
function lets(value: number): boolean {
  const action = (value & 0xffff0000) >>> 0;
  return action === RET.ALLOW || action === RET.LOG || action === RET.TRACE;
}

function flagsOf(profile: SeccompProfile, notifies: boolean, path: string): number {
  // Without a list runc sets SPEC_ALLOW: filters need not slow down speculation, as they do before Linux 5.16.
  let flags = profile.flags === undefined ? (FLAGS.SECCOMP_FILTER_FLAG_SPEC_ALLOW as number) : 0;
  for (const [i, name] of (profile.flags ?? []).entries()) {
    const flag = Object.hasOwn(FLAGS, name) ? FLAGS[name] : undefined;
    const field = `${path}.flags[${i}]`;
    if (flag === undefined)
      throw new TareError('config', `${field}: there is no flag ${JSON.stringify(name)}`, { path: field });
    flags |= flag;
  }
  if (notifies) return flags | NEW_LISTENER;
  // The kernel refuses it, EINVAL, where nobody is asked and so nobody waits.
  return flags & ~(FLAGS.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV as number);
}
