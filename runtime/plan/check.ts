/**
 * The check at encoding: what can be known about a plan without running it. The types of its operands, then a run on
 * paper: the lanes are walked in an order in which they could run, and every slot is followed through each lane (a cloned
 * lane starts with what its parent has filled by then). It finds a slot that is empty, or may be, where it is used; a lane
 * that never starts; a wait that nobody answers. The rules for single operands are in operands.ts.
 */
import { TareError } from '../kernel/error.js';
import { checkOperands, MAX_SLOTS, MAX_STEPS } from './operands.js';
import { LANES, type Lane, type Plan, type Step } from './plan.js';
import { type SlotState, SlotStates } from './slot-states.js';

/** Throws a TareError (`plan`, its `path` the step: `lanes.inside[3]`) for the first thing that is wrong. */
export function checkPlan(plan: Plan): void {
  if (plan.formatVersion !== 1) fail('formatVersion', `a plan of format ${plan.formatVersion}; this Tare knows 1`);
  if (plan.slots.length > MAX_SLOTS) fail('slots', `${plan.slots.length} slots; at most ${MAX_SLOTS} can be had`);
  plan.slots.forEach((slot, i) => {
    if (slot.slot !== i) fail(`slots[${i}]`, `slot "${slot.name}" says that it is number ${slot.slot}, and is ${i}`);
  });
  if (plan.given.length > plan.slots.length) fail('given', 'more descriptors are given than there are slots');
  plan.given.forEach((name, i) => {
    if (plan.slots[i]?.type !== 'fd')
      fail(`given[${i}]`, `"${name}" is given, so its slot holds a descriptor, not a pid`);
  });
  const steps = LANES.reduce((sum, lane) => sum + (plan.lanes[lane]?.length ?? 0), 0);
  if (steps > MAX_STEPS) fail('lanes', `${steps} steps; at most ${MAX_STEPS} can be had`);
  for (const lane of LANES) checkShape(plan, lane);
  checkClones(plan);
  walk(plan);
}

/** What is wrong with a step, named by its lane and place: `inside step 4, fsmount (mounts[0]): ...`. */
export function failStep(lane: Lane, index: number, step: Step, what: string): never {
  return fail(`lanes.${lane}[${index}]`, `${lane} step ${index + 1}, ${step.kind} (${step.field}): ${what}`);
}

function fail(path: string, what: string): never {
  throw new TareError('plan', `malformed plan: ${what}`, { path });
}

/** Operands, and what a lane may end with. */
function checkShape(plan: Plan, lane: Lane): void {
  const steps = plan.lanes[lane];
  if (!steps) return;
  steps.forEach((step, i) => {
    const wrong = checkOperands(plan, lane, step);
    if (wrong) failStep(lane, i, step, wrong);
    const last = i === steps.length - 1;
    if (isEnd(step)) {
      if (!last) failStep(lane, i, step, 'the steps after it can never run');
      if (step.guardIf || step.guardUnless) failStep(lane, i, step, 'the end of a lane has no condition');
      if (step.tolerate?.length) failStep(lane, i, step, 'the end of a lane cannot be tolerated to fail');
    }
    if (step.kind === 'supervise') {
      if (lane !== 'outside') failStep(lane, i, step, 'only the outside lane supervises');
      if (!last) failStep(lane, i, step, 'nothing can follow it: it ends with the process that it supervises');
    }
  });
  const end = steps.at(-1);
  if (lane !== 'outside') {
    if (!end) fail(`lanes.${lane}`, `the ${lane} lane has no steps`);
    else if (!isEnd(end)) failStep(lane, steps.length - 1, end, 'a cloned lane ends with exec, exec_fd or exit');
  }
}

function isEnd(step: Step): boolean {
  return step.kind === 'exec' || step.kind === 'exec_fd' || step.kind === 'exit';
}

/** Every lane but outside is started by exactly one clone step, without conditions. */
function checkClones(plan: Plan): void {
  const startedBy = new Map<Lane, Lane>();
  for (const lane of LANES) {
    plan.lanes[lane]?.forEach((step, i) => {
      if (step.kind !== 'clone') return;
      const child = step.inputs.lane;
      if (child === 'outside') failStep(lane, i, step, 'the outside lane is stage itself and cannot be cloned');
      if (startedBy.has(child)) failStep(lane, i, step, `the ${child} lane has been cloned already`);
      if (step.guardIf || step.guardUnless || step.tolerate?.length) {
        failStep(
          lane,
          i,
          step,
          'a lane is either there or not: a clone has no condition, and its failure is not tolerated',
        );
      }
      startedBy.set(child, lane);
    });
  }
  for (const lane of LANES) {
    if (lane !== 'outside' && plan.lanes[lane] && !startedBy.has(lane)) {
      fail(`lanes.${lane}`, `no clone step starts the ${lane} lane`);
    }
  }
}

interface Post {
  readonly lane: Lane;
  readonly index: number;
  readonly step: Step & { readonly kind: 'post' };
  readonly carried: SlotState;
}

/** The run on paper. Posts never block, so any order that respects clone and wait finds the same. */
function walk(plan: Plan): void {
  const running = new Map<Lane, { at: number; slots: SlotStates }>();
  /** Under `from to`: a socket each way, so posts arrive in the order in which they were sent. */
  const sent = new Map<string, Post[]>();
  running.set('outside', { at: 0, slots: SlotStates.given(plan.given.length) });
  for (let moved = true; moved; ) {
    moved = false;
    for (const [lane, run] of running) {
      const steps = plan.lanes[lane] ?? [];
      for (; run.at < steps.length; run.at++, moved = true) {
        const step = steps[run.at] as Step;
        const broken = run.slots.use(step);
        if (broken) failStep(lane, run.at, step, broken);
        let filled: string | undefined;
        if (step.kind === 'wait') {
          const post = sent.get(`${step.inputs.lane} ${lane}`)?.shift();
          if (!post) break;
          checkPair(lane, run.at, step, post);
          filled = run.slots.receive(step, post.carried);
        } else {
          if (step.kind === 'clone') running.set(step.inputs.lane, { at: 0, slots: run.slots.copy() });
          if (step.kind === 'post') {
            const key = `${lane} ${step.inputs.lane}`;
            const post = { lane, index: run.at, step, carried: run.slots.carried(step) };
            sent.set(key, [...(sent.get(key) ?? []), post]);
          }
          filled = run.slots.fill(step);
        }
        if (filled) failStep(lane, run.at, step, filled);
      }
    }
  }
  for (const [lane, run] of running) {
    const step = plan.lanes[lane]?.[run.at];
    if (step?.kind !== 'wait') continue;
    failStep(lane, run.at, step, `the ${step.inputs.lane} lane never posts token ${step.inputs.token} before this`);
  }
  for (const post of [...sent.values()].flat()) failStep(post.lane, post.index, post.step, 'nobody waits for it');
}

function checkPair(lane: Lane, index: number, wait: Step & { readonly kind: 'wait' }, post: Post): void {
  const { token } = post.step.inputs;
  if (BigInt(token) !== BigInt(wait.inputs.token)) {
    failStep(lane, index, wait, `it waits for token ${wait.inputs.token}, and ${token} comes first`);
  }
  if (post.step.guardIf?.slot !== wait.guardIf?.slot || post.step.guardUnless?.slot !== wait.guardUnless?.slot) {
    failStep(lane, index, wait, 'its condition is not that of its post, so it could wait for ever');
  }
}
