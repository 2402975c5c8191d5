/**
 * Device rules as a program: what version 2 has in place of the controller `devices`. The kernel runs it at each open and
 * mknod of a device by a process of the cgroup, or of one below it, and asks every program on the way up to the root: one that says
 * 0 is EPERM. kernel: Documentation/admin-guide/cgroup-v2.rst, "Device controller"; struct bpf_cgroup_dev_ctx of <linux/bpf.h>.
 */
import { TareError } from '../error.js';
import { type CheckedRule, checkDeviceRules } from './devices.js';
import { Assembler, JUMP_ANY_BIT, JUMP_EQUAL, JUMP_NOT_EQUAL, Label, MAX_INSTRUCTIONS } from './ebpf.js';
import type { DeviceRule } from './types.js';

/** BPF_DEVCG_DEV_* and BPF_DEVCG_ACC_*: the low and the high half of `access_type`. */
export const DEVICE_TYPE = { b: 1, c: 2 } as const;
export const DEVICE_ACCESS = { m: 1, r: 2, w: 4 } as const;
const ALL_ACCESS = 7;

/** Offsets in struct bpf_cgroup_dev_ctx, which r1 points to. */
const CONTEXT = { accessType: 0, major: 4, minor: 8 } as const;

/** The registers of the program. */
const CONTEXT_POINTER = 1;
const TYPE = 2;
const OPEN = 3; // the accesses asked for on which no rule has decided yet
const MAJOR = 4;
const MINOR = 5;

/**
 * Compiles rules, of which the last that matches an access decides on it; an access that none matches is allowed here, as the
 * version 1 controller leaves it as the parent has it. The program asks the rules from the last to the first, so that the first
 * match decides. With `{ deny all }, { allow c 1:3 rw }` it is
 *
 *     r2 = access_type & 0xffff; r3 = access_type >> 16; r4 = major; r5 = minor
 *     if r2 != c goto next
 *     if r4 != 1 goto next
 *     if r5 != 3 goto next
 *     r3 &= ~rw                  these accesses are decided
 *     if r3 == 0 goto allowed    all of what was asked for is
 *     next: r0 = 0; exit         denied: everything else
 *     allowed: r0 = 1; exit
 *
 * @param field of config.json, for errors: `linux.resources.devices`
 * @returns an array of struct bpf_insn
 * @throws TareError `config` for a rule that makes no sense, or more than fit 4,096 instructions
 */
export function compileDeviceProgram(rules: readonly DeviceRule[], field: string): Uint8Array {
  const program = new Assembler();
  const allowed = { label: new Label(), answer: 1 };
  const denied = { label: new Label(), answer: 0 };
  readContext(program);
  let otherwise = allowed;
  for (const rule of checkDeviceRules(rules, field).reverse()) {
    if (matchesAll(rule)) {
      otherwise = rule.allow ? allowed : denied;
      break; // the rules before it have no say
    }
    emitRule(program, rule, allowed.label, denied.label);
  }
  // Where no rule has decided, the program arrives here by itself; the other answer stands only where a jump leads to it.
  for (const { label, answer } of otherwise === allowed ? [allowed, denied] : [denied, allowed]) {
    if (answer !== otherwise.answer && !label.used) continue;
    program.place(label);
    program.answer(answer);
  }
  if (program.size > MAX_INSTRUCTIONS)
    throw new TareError(
      'config',
      `${rules.length} device rules take ${program.size} instructions, and the kernel takes at most ${MAX_INSTRUCTIONS}`,
      { path: field },
    );
  return program.encode();
}

function readContext(program: Assembler): void {
  program.load(TYPE, CONTEXT_POINTER, CONTEXT.accessType);
  program.copy(OPEN, TYPE);
  program.and(TYPE, 0xffff);
  program.shiftRight(OPEN, 16);
  program.load(MAJOR, CONTEXT_POINTER, CONTEXT.major);
  program.load(MINOR, CONTEXT_POINTER, CONTEXT.minor);
}

/** A rule skips itself unless the device is one of its own. */
function emitRule(program: Assembler, rule: CheckedRule, allowed: Label, denied: Label): void {
  const next = new Label();
  if (rule.type !== 'a') program.jump(JUMP_NOT_EQUAL, TYPE, DEVICE_TYPE[rule.type], next);
  if (rule.major !== 'any') program.jump(JUMP_NOT_EQUAL, MAJOR, rule.major, next);
  if (rule.minor !== 'any') program.jump(JUMP_NOT_EQUAL, MINOR, rule.minor, next);
  const access = accessBits(rule);
  if (rule.allow) {
    program.and(OPEN, ALL_ACCESS & ~access);
    program.jump(JUMP_EQUAL, OPEN, 0, allowed);
  } else {
    // One access that is denied denies the whole.
    program.jump(JUMP_ANY_BIT, OPEN, access, denied);
  }
  program.place(next);
}

function matchesAll(rule: CheckedRule): boolean {
  return rule.type === 'a' && rule.major === 'any' && rule.minor === 'any' && accessBits(rule) === ALL_ACCESS;
}

function accessBits({ access }: CheckedRule): number {
  return [...access].reduce((bits, letter) => bits | DEVICE_ACCESS[letter as keyof typeof DEVICE_ACCESS], 0);
}
