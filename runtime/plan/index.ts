/**
 * The face of plan/: build a plan, check it, encode it, print it, compare two, run it. See plan.ts for what a plan is.
 */

export { type About, type LaneBuilder, PlanBuilder, type StepMethods, type StepResult } from './builder.js';
export { checkPlan } from './check.js';
export { type Caller, type Compiled, type CompileInput, CREATE, compileCreate } from './compile/index.js';
export { decodePlan } from './decode.js';
export type { Cloned, PlanRun, RunOptions, StepAt, StepOutcome } from './driver.js';
export { encodePlan, lanesOf } from './encode.js';
export { stepFailure } from './failure.js';
export { LANES, type Lane, type Plan, type Slot, type Step, type StepOf } from './plan.js';
export { decodeReport, type Report, type ReportType } from './reports.js';
export { runPlan } from './run.js';
export { initImage, stageImage } from './stage-image.js';
export {
  type KindInfo,
  STEP_KINDS,
  STEPS_HASH,
  type StepInputs,
  type StepKind,
  type StepOutputs,
} from './steps.gen.js';
export { formatStep } from './symbols.js';
