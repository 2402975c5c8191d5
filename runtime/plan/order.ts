/**
 * The order in which the steps of a plan run, as far as the plan fixes it: a lane goes on until it waits for another that
 * has not posted yet. Where lanes run at the same time it is one possible order, and always the same one.
 */
import { LANES, type Lane, type Plan, type Step } from './plan.js';

export interface Ordered {
  readonly lane: Lane;
  /** Index within the lane. */
  readonly index: number;
  readonly step: Step;
}

/** Every step once. Steps that no order reaches (a malformed plan) come last. */
export function executionOrder(plan: Plan): Ordered[] {
  const order: Ordered[] = [];
  const next = new Map<Lane, number>([['outside', 0]]);
  const posted = new Map<string, number>();
  for (let moved = true; moved; ) {
    moved = false;
    for (const [lane, from] of next) {
      const steps = plan.lanes[lane] ?? [];
      let index = from;
      for (; index < steps.length; index++, moved = true) {
        const step = steps[index] as Step;
        if (step.kind === 'wait' && !take(posted, `${step.inputs.lane} ${lane}`)) break;
        if (step.kind === 'post') {
          const key = `${lane} ${step.inputs.lane}`;
          posted.set(key, (posted.get(key) ?? 0) + 1);
        }
        if (step.kind === 'clone' && !next.has(step.inputs.lane)) next.set(step.inputs.lane, 0);
        order.push({ lane, index, step });
      }
      next.set(lane, index);
    }
  }
  for (const lane of LANES) {
    const steps = plan.lanes[lane] ?? [];
    for (let index = next.get(lane) ?? 0; index < steps.length; index++) {
      order.push({ lane, index, step: steps[index] as Step });
    }
  }
  return order;
}

function take(counts: Map<string, number>, key: string): boolean {
  const count = counts.get(key) ?? 0;
  counts.set(key, Math.max(0, count - 1));
  return count > 0;
}
