/** Malformed plans, one for each thing that the decoder checks: a name, the plan, the refusal, and what spoils the bytes. */
import { CWD, HEADER_SIZE, NONE, STEP_SIZE, step, type TestPlan, type TestStep } from './plan-bytes.js';

export type Malformed = [name: string, plan: TestPlan, why: RegExp, spoil?: (bytes: Buffer) => void];

/** Each plan begins with the step that `mark` makes, which is well-formed; what comes after it is not. */
export function malformed(mark: () => TestStep): Malformed[] {
  const lane = (...more: ReturnType<typeof step>[]): TestPlan => ({ lanes: [[mark(), ...more]] });
  const filter = (count: number) => new Uint8Array(count * 8);
  const child = (...inside: ReturnType<typeof step>[]): TestPlan => ({
    lanes: [[mark(), step('clone', [1, 0, NONE], { out: [0, 1] })], inside],
  });

  return [
    ['magic', lane(), /TAREPLAN/, (b) => b.write('X')],
    ['version', lane(), /version 2/, (b) => b.writeUInt32LE(2, 8)],
    ['architecture', lane(), /architecture/, (b) => b.writeUInt32LE(0xc000_00b7, 12)],
    ['hash of steps.def', lane(), /another steps\.def/, (b) => b.writeUInt8(b.readUInt8(16) ^ 1, 16)],
    ['size', lane(), /size/, (b) => b.writeUInt32LE(b.length + 8, 48)],
    ['number of slots', { ...lane(), slots: 1025 }, /1025 slots/],
    ['given beyond the slots', { ...lane(), slots: 1 }, /2 of them given/, (b) => b.writeUInt32LE(2, 56)],
    ['no lane', lane(), /0 lanes/, (b) => b.writeUInt32LE(0, 60)],
    ['five lanes', lane(), /5 lanes/, (b) => b.writeUInt32LE(5, 60)],
    ['more steps than bytes', lane(), /data area/, (b) => b.writeUInt32LE(200, 64)],
    ['too many steps', lane(), /9000 steps/, (b) => b.writeUInt32LE(9000, 64)],
    ['steps of a lane that is not', lane(), /lane 2 has 1 steps/, (b) => b.writeUInt32LE(1, 72)],
    ['offset of the data', lane(), /data area/, (b) => b.writeUInt32LE(b.length + 8, 80)],
    ['reserved field of the header', lane(), /reserved/, (b) => b.writeUInt32LE(1, 84)],
    ['kind', lane(step('setsid')), /kind 999/, (b) => b.writeUInt16LE(999, HEADER_SIZE + STEP_SIZE)],
    ['number of inputs', lane(step('setsid')), /1 inputs/, (b) => b.writeUInt8(1, HEADER_SIZE + STEP_SIZE + 2)],
    ['number of outputs', lane(step('setsid')), /1 outputs/, (b) => b.writeUInt8(1, HEADER_SIZE + STEP_SIZE + 3)],
    ['guard_if', lane(step('setsid', [], { guardIf: 16 })), /guard/],
    ['guard_unless', lane(step('setsid', [], { guardUnless: -2 })), /guard/],
    ['tolerate', lane(step('setsid', [], { tolerate: [4096] })), /4096 is no errno/],
    ['negative tolerate', lane(step('setsid', [], { tolerate: [1, -1] })), /-1 is no errno/],
    [
      'reserved field of a step',
      lane(step('setsid')),
      /reserved/,
      (b) => b.writeUInt32LE(1, HEADER_SIZE + STEP_SIZE + 12),
    ],
    ['output slot', lane(step('fsopen', ['tmpfs', 0], { out: [16] })), /output 0/],
    ['unused output', lane(step('fsopen', ['tmpfs', 0], { out: [0, 1] })), /output 1/],
    [
      'unused input',
      lane(step('setsid')),
      /unused input 3/,
      (b) => b.writeUInt32LE(1, HEADER_SIZE + STEP_SIZE + 24 + 24),
    ],
    ['slot that nothing fills', lane(step('fchdir', [3])), /step 1 \(fchdir\): input 0 names no descriptor/],
    [
      'slot that is filled later',
      lane(step('close', [0]), step('fsopen', ['tmpfs', 0], { out: [0] })),
      /names no descriptor/,
    ],
    ['slot out of range', lane(step('fchdir', [16])), /names no descriptor/],
    ['AT_FDCWD as a pid', lane(step('open_proc', [CWD, 'ns/net', 0])), /names no pid/],
    ['pid as a descriptor', pidAsDescriptor(mark()), /names no descriptor/],
    ['slot of both kinds', both(mark()), /a descriptor and a pid/],
    ['string without an end', lane(step('chdir', ['/'])), /no string/, (b) => b.fill(0x61, b.length - 8)],
    [
      'string outside the plan',
      lane(step('chdir', ['/'])),
      /no string/,
      (b) => b.writeUInt32LE(1 << 20, HEADER_SIZE + STEP_SIZE + 24),
    ],
    [
      'string longer than the plan',
      lane(step('chdir', ['/'])),
      /no string/,
      (b) => b.writeUInt32LE(0xffff_ffff, HEADER_SIZE + STEP_SIZE + 28),
    ],
    ['NUL within a string', lane(step('chdir', ['/a\0b'])), /no string/],
    [
      'list that is not aligned',
      lane(step('exec', [['/bin/true'], ['a'], []])),
      /no list/,
      (b) => b.writeUInt32LE(4, HEADER_SIZE + STEP_SIZE + 24),
    ],
    [
      'list longer than the plan',
      lane(step('exec', [['/bin/true'], ['a'], []])),
      /no list/,
      (b) => b.writeUInt32LE(0xffff_ffff, HEADER_SIZE + STEP_SIZE + 28),
    ],
    ['string of a list', lane(step('exec', [['/bin/true'], ['a\0b'], []])), /input 1 is no list/],
    [
      'bytes outside the plan',
      lane(step('setgroups', [new Uint8Array(8)])),
      /outside the plan/,
      (b) => b.writeUInt32LE(80, HEADER_SIZE + STEP_SIZE + 28),
    ],
    ['int that is none', lane(step('dup2', [CWD, 1n << 32n])), /no int/],
    ['uid of 33 bits', lane(step('setresuid', [1n << 32n, 0, 0])), /does not fit 32 bits/],
    ['mode of 33 bits', lane(step('mkdirat', [CWD, 'x', 1n << 40n])), /does not fit 32 bits/],
    ['size of a terminal', lane(step('pty_size', [CWD, 80, 65_536])), /16 bits/],
    ['lane of a clone', lane(step('clone', [1, 0, NONE])), /lane that does not exist/],
    ['clone of lane 0', child(step('clone', [0, 0, NONE])), /lane that does not exist/],
    ['lane that nobody starts', { lanes: [[mark()], [step('exit', [0])]] }, /lane 1 is never started/],
    ['lane that starts itself', { lanes: [[mark()], [step('clone', [1, 0, NONE])]] }, /lane 1 is started by no lane/],
    [
      'lanes that start each other',
      { lanes: [[mark()], [step('clone', [2, 0, NONE])], [step('clone', [1, 0, NONE])]] },
      /started by no lane/,
    ],
    [
      'lane started twice',
      { lanes: [[mark(), step('clone', [1, 0, NONE]), step('clone', [1, 0, NONE])], []] },
      /started twice/,
    ],
    ['clone that shares memory', { lanes: [[mark(), step('clone', [1, 0x100, NONE])], []] }, /flags 0x100/],
    ['CLONE_PARENT outside', { lanes: [[mark(), step('clone', [1, 0x8000, NONE])], []] }, /CLONE_PARENT/],
    ['post to itself', lane(step('post', [0, 1, NONE])), /own lane/],
    ['wait for a lane that is not', lane(step('wait', [1, 1])), /names no lane/],
    ['pid of the parent in the child', child(step('open_proc', [0, 'status', 0])), /names no pid/],
    ['supervise inside', child(step('supervise', [NONE, NONE, NONE])), /only the outside lane/],
    ['supervise of itself', lane(step('supervise', [NONE, NONE, NONE])), /supervises no process/],
    ['exec without a candidate', lane(step('exec', [[], ['a'], []])), /no candidate/],
    ['exec without argv', lane(step('exec', [['/bin/true'], [], []])), /argv is empty/],
    ['name of a call', lane(step('call', ['x'.repeat(256), NONE])), /too long/],
    ['gids of three bytes', lane(step('setgroups', [new Uint8Array(3)])), /32 bits each/],
    ['empty filter', lane(step('seccomp', [0, filter(0)])), /no array of/],
    ['filter of half an instruction', lane(step('seccomp', [0, new Uint8Array(12)])), /no array of/],
    ['filter that is too long', lane(step('seccomp', [0, filter(4097)])), /no array of/],
    ['empty device program', lane(step('cgroup_device', [NONE, filter(0)])), /no array of/],
    ['device program of half an instruction', lane(step('cgroup_device', [NONE, new Uint8Array(12)])), /no array of/],
    ['device program that is too long', lane(step('cgroup_device', [NONE, filter(4097)])), /no array of/],
    ['netlink message that is cut', lane(step('netlink', [0, new Uint8Array(8)])), /malformed/],
    [
      'netlink message without NLM_F_ACK',
      lane(step('netlink', [0, Buffer.from(`10000000${'10000100'}${'01000000'}${'00000000'}`, 'hex')])),
      /malformed/,
    ],
    [
      'netlink message longer than the rest',
      lane(step('netlink', [0, Buffer.from(`20000000${'10000500'}${'01000000'}${'00000000'}`, 'hex')])),
      /malformed/,
    ],
  ];
}

function pidAsDescriptor(mark: TestStep): TestPlan {
  const outside = [mark, step('clone', [1, 0, NONE], { out: [0, 1] }), step('fchdir', [0])];
  return { lanes: [outside, [step('exit', [0])]] };
}

function both(mark: TestStep): TestPlan {
  const outside = [mark, step('fsopen', ['tmpfs', 0], { out: [0] }), step('clone', [1, 0, NONE], { out: [0, 1] })];
  return { lanes: [outside, [step('exit', [0])]] };
}
