/**
 * The rules for what a single step says: the right inputs of the right types, outputs that fit, errnos that exist. The
 * limits are those of native/stage/protocol.h.
 */
import { errnoNumber } from '../kernel/errno.js';
import { LANES, type Lane, type Plan, type Slot, type Step } from './plan.js';
import { isSlot } from './slot-states.js';
import { type KindInfo, STEP_KINDS } from './steps.gen.js';

export const MAX_SLOTS = 1024;
export const MAX_STEPS = 8192;
/** tolerate[2] of struct plan_step. */
const MAX_TOLERATED = 2;

/** Descriptor inputs that may be none. For the others none would only ever be EBADF. */
const OPTIONAL = new Set(
  'clone.cgroup close_others.keep close_others.second close_others.third run.input mount_setattr.userns post.fd call.fd supervise.state supervise.listener'.split(
    ' ',
  ),
);

/** Descriptor inputs that name a directory for a path, where the working directory may stand. */
const DIRECTORIES = new Set(['dir', 'root', 'from', 'to']);

/** Kinds whose unsigned inputs have 64 bits; those of all others have 32, so that uid 2^32 never becomes 0 (CVE-2024-40635). */
const WIDE = new Set(
  'openat2 mount mount_setattr expect_fs clone post wait cap_bound capset cap_ambient prctl prlimit sched_setattr'.split(
    ' ',
  ),
);

type InputInfo = KindInfo['inputs'][number];

/** An input with the rules for it. */
interface InputRule extends InputInfo {
  readonly none: boolean;
  readonly cwd: boolean;
  readonly bits: 32 | 64;
}

export interface Kind extends KindInfo {
  /** On the wire. */
  readonly number: number;
  readonly inputs: readonly InputRule[];
}

/** Kinds by name. */
export const KINDS: ReadonlyMap<string, Kind> = new Map(
  STEP_KINDS.map((info, number) => {
    const inputs = info.inputs.map((input) => ({
      ...input,
      none: OPTIONAL.has(`${info.kind}.${input.name}`),
      cwd: DIRECTORIES.has(input.name),
      bits: WIDE.has(info.kind) ? (64 as const) : (32 as const),
    }));
    return [info.kind, { ...info, number, inputs }];
  }),
);

const MAX_32 = 2 ** 32 - 1;
const MAX_64 = 2n ** 64n - 1n;

/** A name travels in a report. */
const MAX_NAME = 255;

/** What is wrong with a step's operands, or undefined. */
export function checkOperands(plan: Plan, lane: Lane, step: Step): string | undefined {
  const info = KINDS.get(step.kind);
  if (!info) return 'there is no such step kind';
  const inputs = step.inputs as Readonly<Record<string, unknown>>;
  const outputs = step.outputs as Readonly<Record<string, unknown>>;
  for (const input of info.inputs) {
    const wrong = checkInput(plan, lane, input, inputs[input.name]);
    if (wrong) return `input "${input.name}": ${wrong}`;
  }
  let count = 0;
  for (const name in inputs) {
    if (++count > info.inputs.length) return `it has no input "${extra(inputs, info.inputs) ?? name}"`;
  }
  for (const name in outputs) {
    const output = info.outputs.find((known) => known.name === name);
    if (!output) return `it has no output "${name}"`;
    const wrong = checkSlot(plan, outputs[name], output.letter === 'd' ? 'fd' : 'pid');
    if (wrong) return `output "${name}": ${wrong}`;
  }
  if (step.guardIf || step.guardUnless) {
    const wrong =
      (step.guardIf && checkSlot(plan, step.guardIf, undefined)) ||
      (step.guardUnless && checkSlot(plan, step.guardUnless, undefined));
    if (wrong) return `its condition: ${wrong}`;
  }
  if (step.tolerate) {
    const wrong = checkTolerated(step.tolerate);
    if (wrong) return wrong;
  }
  return checkKind(step);
}

function extra(inputs: object, known: readonly InputInfo[]): string | undefined {
  return Object.keys(inputs).find((name) => !known.some((input) => input.name === name));
}

function checkTolerated(tolerate: readonly string[]): string | undefined {
  if (tolerate.length > MAX_TOLERATED)
    return `tolerates ${tolerate.length} errnos; at most ${MAX_TOLERATED} can be named`;
  for (const name of tolerate) if (!errnoNumber(name)) return `"${name}" is not the name of an errno`;
  return undefined;
}

function checkInput(plan: Plan, lane: Lane, input: InputRule, value: unknown): string | undefined {
  switch (input.letter) {
    case 'd':
      if (value === 'none') return input.none ? undefined : 'it cannot be none';
      if (value === 'cwd') return input.cwd ? undefined : 'it cannot be the working directory';
      return checkSlot(plan, value, 'fd');
    case 'p':
      return value === 'self' ? undefined : checkSlot(plan, value, 'pid');
    case 'l':
      if (!LANES.includes(value as Lane) || !plan.lanes[value as Lane]) return `this plan has no lane ${String(value)}`;
      return value === lane ? 'it names its own lane' : undefined;
    case 's':
      return checkString(value);
    case 'v':
      if (!Array.isArray(value)) return 'a list of strings is wanted';
      for (const one of value) {
        const wrong = checkString(one);
        if (wrong) return wrong;
      }
      return undefined;
    case 'b':
      return value instanceof Uint8Array ? undefined : 'bytes are wanted';
    case 'u':
      return checkUnsigned(value, input.bits);
    case 'i':
      return Number.isInteger(value) && (value as number) === ((value as number) | 0)
        ? undefined
        : `${String(value)} is not an integer of 32 bits`;
  }
}

function checkUnsigned(value: unknown, bits: 32 | 64): string | undefined {
  if (typeof value === 'number' ? !Number.isSafeInteger(value) : typeof value !== 'bigint') {
    return `${String(value)} is not an unsigned integer`;
  }
  const number = value as number | bigint;
  if (number < 0) return `${number} is not an unsigned integer`;
  return bits === 64
    ? number > MAX_64
      ? `${number} is not of 64 bits`
      : undefined
    : number > MAX_32
      ? `${number} is not of 32 bits`
      : undefined;
}

function checkString(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'a string is wanted';
  if (value.includes('\0')) return 'a string holds a NUL byte, which would end it early';
  // Half of a surrogate pair has no UTF-8; encoding it would silently name something else.
  if (!isWellFormed(value)) return 'a string is not well-formed Unicode';
  return undefined;
}

/** String.prototype.isWellFormed, which Node 20 has and the language level of this project does not name. */
function isWellFormed(text: string): boolean {
  return (text as unknown as { isWellFormed(): boolean }).isWellFormed();
}

function checkSlot(plan: Plan, value: unknown, type: Slot['type'] | undefined): string | undefined {
  if (!isSlot(value)) return type === 'pid' ? 'a pid slot is wanted' : 'a descriptor slot is wanted';
  const known = plan.slots[value.slot];
  if (!known) return `slot ${value.slot} is not one of this plan`;
  if (known !== value && (known.type !== value.type || known.name !== value.name)) {
    return `slot "${value.name}" is of another plan`;
  }
  if (type && known.type !== type) return `slot "${known.name}" holds a ${known.type}, and a ${type} is wanted`;
  return undefined;
}

/** Rules of single kinds: what the kernel, or stage, would refuse anyway, said earlier and in words. */
function checkKind(step: Step): string | undefined {
  switch (step.kind) {
    case 'expect_program':
      return step.inputs.candidates.length === 0 ? 'no candidate to look for' : undefined;
    case 'sched_setaffinity':
      return step.inputs.mask.length % 8 === 0 ? undefined : 'a mask is of whole 64-bit words';
    case 'set_mempolicy':
      return step.inputs.nodes.length % 8 === 0 ? undefined : 'a mask is of whole 64-bit words';
    case 'run':
    case 'exec':
      if (step.inputs.candidates.length === 0) return 'no candidate to execute';
      return step.inputs.argv.length === 0 ? 'argv is empty' : undefined;
    case 'exec_fd':
      return step.inputs.argv.length === 0 ? 'argv is empty' : undefined;
    case 'setgroups':
      return step.inputs.gids.length % 4 === 0 ? undefined : 'gids are 4 bytes each';
    case 'seccomp': {
      const bytes = step.inputs.filter.length;
      // BPF_MAXINSNS of <linux/bpf_common.h>.
      return bytes > 0 && bytes % 8 === 0 && bytes <= 4096 * 8
        ? undefined
        : 'a filter has 1 to 4096 instructions of 8 bytes';
    }
    case 'cgroup_device': {
      const bytes = step.inputs.program.length;
      return bytes > 0 && bytes % 8 === 0 && bytes <= 4096 * 8
        ? undefined
        : 'a program has 1 to 4096 instructions of 8 bytes';
    }
    case 'supervise':
      return step.inputs.pid === 'self' ? 'it supervises no process' : undefined;
    case 'call':
    case 'give':
      return Buffer.byteLength(step.inputs.name) <= MAX_NAME ? undefined : `its name is longer than ${MAX_NAME} bytes`;
    case 'exit':
      return BigInt(step.inputs.status) <= 255n ? undefined : 'an exit status is at most 255';
    default:
      return undefined;
  }
}
