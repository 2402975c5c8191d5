/**
 * The face of plan/: build a plan, check it, encode it, print it, compare two, run it. See plan.ts for what a plan is.
 */

export { type About, type LaneBuilder, PlanBuilder, type StepMethods, type StepResult } from './builder.js';
export { checkPlan } from './check.js';
export {
  type Caller,
  type Compiled,
  type CompileInput,
  CREATE,
  compileCreate,
  compileExec,
  compileOwnUsers,
  compileRestore,
  EXEC,
  type ExecInput,
  execNamespace,
  HOOK_CALLS,
  ID_HELPERS,
  type IdMaps,
  type JoinedNamespaces,
  type Limit,
  type MovedDevice,
  NAMESPACE_FLAGS,
  needsIdHelper,
  type OwnUsers,
  preservedFds,
  RESCTRL,
  RESTORE_FDS,
  type RestoreInput,
  resctrlFolders,
  restoredStream,
} from './compile/index.js';
export { decodePlan } from './decode.js';
export { diffPlans, type PlanDiff, type PrintDiffOptions, printDiff, type StepChange } from './diff.js';
export type { Cloned, PlanRun, RunOptions, StepAt, StepOutcome } from './driver.js';
export { encodePlan, lanesOf } from './encode.js';
export { describeStep, type StepDescription, stepFailure } from './failure.js';
export { type GateOptions, openGate } from './gate-client.js';
export { type JsonOptions, planFromJson, planToJson } from './json.js';
export { executionOrder, type Ordered } from './order.js';
export { LANES, type Lane, type Plan, type Slot, type Step, type StepOf } from './plan.js';
export { type PrintOptions, printPlan } from './print.js';
export { decodeReport, type Report, type ReportType } from './reports.js';
export { runPlan } from './run.js';
export { planSchema } from './schema.js';
export { initImage, stageImage } from './stage-image.js';
export {
  type KindInfo,
  STEP_KINDS,
  STEPS_HASH,
  type StepInputs,
  type StepKind,
  type StepOutputs,
} from './steps.gen.js';
export { SupervisorClient, type SupervisorStatus } from './supervisor-client.js';
export { formatStep } from './symbols.js';
