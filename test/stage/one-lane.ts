/** Plans of a single lane, for the tests of single step kinds: run to the end, or to the step that fails. */
import { planBytes, type TestStep } from './plan-bytes.js';
import { type Build, Stage } from './stage.js';

/** What the steps wrote. An error tells which of them failed. */
export async function output(build: Build, steps: readonly TestStep[], given: readonly number[] = []): Promise<string> {
  await using stage = new Stage(planBytes({ lanes: [steps], given: given.length }), { build, given });
  if ((await stage.ended()) !== 0) throw new Error(`${JSON.stringify(await stage.failure())} ${stage.output}`);
  return stage.output.trim();
}

/** Which step failed, with what errno, and the call that it names. */
export async function failure(
  build: Build,
  steps: readonly TestStep[],
): Promise<{ error: number; name: string; step: number }> {
  await using stage = new Stage(planBytes({ lanes: [steps] }), { build });
  return await stage.failure();
}
