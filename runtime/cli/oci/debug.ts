/** What `--debug` adds to the log: the plan, step by step, before it runs, and the flags of the system call filter as runc words them. */
import { describeStep, LANES, type Plan } from '../../plan/index.js';
import type { OciContext } from './context.js';
import { debug } from './log.js';

/** For the option of the same name; without `--debug` it is not there. */
export function debugging({ globals }: OciContext): { onPlan?: (plan: Plan) => void } {
  if (!globals.debug) return {};
  return {
    onPlan: ({ lanes }) => {
      for (const lane of LANES) {
        for (const step of lanes[lane] ?? []) {
          const { name, args, field, why } = describeStep(step);
          debug(globals, `${lane}: ${name}(${args}): ${field}: ${why}`);
          if (step.kind === 'seccomp') debug(globals, `seccomp filter flags: ${step.inputs.flags}`);
        }
      }
    },
  };
}
