/** For tests of attacks on `exec`: a container that runs, and a process that joins it by the plan, or by one with steps taken out. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ExecOptions, prepareExec, startExec } from '../../runtime/container/exec.js';
import { changedProcess, type ProcessChanges } from '../../runtime/container/index.js';
import { StateDirectory } from '../../runtime/container/state-directory.js';
import type { Plan, Step } from '../../runtime/plan/index.js';
import type { Running } from '../system/bundle.js';

export interface Joined {
  readonly output: string;
  readonly code?: number;
  readonly error?: Error;
}

/** What it wrote, and its exit code or the error that stopped the plan. @param edit what becomes of each step of *inside*, or none */
export async function joinRunning(
  it: Running,
  changes: ProcessChanges,
  edit?: (step: Step) => Step | undefined,
  more: Partial<ExecOptions> = {},
): Promise<Joined> {
  const path = join(it.folder, 'joined.out');
  const [input, output] = [openSync('/dev/null', 'r'), openSync(path, 'w')];
  try {
    const options = {
      process: changedProcess(it.container.config, changes),
      stdio: [input, output, output] as const,
      ...more,
    };
    using prepared = prepareExec(StateDirectory.open(join(it.folder, 'state'), it.container.id), options);
    const started = await startExec({ ...prepared, plan: edited(prepared.plan, edit) }, options);
    const { code } = await started.wait();
    return { output: readFileSync(path, 'utf8'), code };
  } catch (error) {
    return { output: readFileSync(path, 'utf8'), error: error as Error };
  } finally {
    closeSync(input);
    closeSync(output);
  }
}

function edited(plan: Plan, edit?: (step: Step) => Step | undefined): Plan {
  if (!edit) return plan;
  const inside = plan.lanes.inside?.flatMap((step) => edit(step) ?? []);
  return { ...plan, lanes: { ...plan.lanes, inside } };
}
