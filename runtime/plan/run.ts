/**
 * Starts a plan under stage: encodes it into a sealed memory file, makes a report socket for each lane, and spawns stage
 * with all of them in the order that native/stage/protocol.h asks for. What stage then says is the affair of stage-run.ts;
 * what callers get is driver.ts.
 */
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { SIGKILL } from '../kernel/signals.js';
import type { PlanRun, RunOptions } from './driver.js';
import { encodePlan, lanesOf } from './encode.js';
import type { Plan } from './plan.js';
import { stageImage } from './stage-image.js';
import { StageRun } from './stage-run.js';

/**
 * Starts stage with the plan. Throws a TareError, with nothing left open, when the plan is malformed, a given descriptor is
 * missing, or stage cannot be spawned; everything later comes through the promises, and nobody has to listen to them.
 */
export function runPlan(plan: Plan, options: RunOptions = {}): PlanRun {
  const bytes = encodePlan(plan);
  const lanes = lanesOf(plan);
  const given = plan.given.map((name) => {
    const fd = options.given?.[name];
    if (fd === undefined) throw new TareError('plan', `the plan needs a descriptor for "${name}", and none was given`);
    return fd;
  });
  const theirs: number[] = [];
  const ours: number[] = [];
  try {
    const memfd = native.sealedMemfd('tare-plan', bytes);
    theirs.push(memfd);
    for (const _ of lanes) {
      const [here, there] = native.socketpair();
      ours.push(here);
      theirs.push(there);
    }
    const mode = options.beforeStep ? ['--step'] : options.trace || options.afterStep ? ['--trace'] : [];
    const [control, ...others] = theirs.slice(1) as [number, ...number[]];
    const fds = [...(options.stdio ?? [0, 1, 2]), control, memfd, ...others, ...given];
    const stage = native.spawn(options.stage ?? stageImage(), ['stage', 'run', ...mode], options.stageEnv ?? [], fds);
    try {
      return new StageRun(plan, options, stage, lanes, ours);
    } catch (error) {
      native.pidfdSendSignal(stage.pidfd, SIGKILL);
      native.close(stage.pidfd);
      throw error;
    }
  } finally {
    for (const fd of [...theirs, ...ours]) native.close(fd);
  }
}
