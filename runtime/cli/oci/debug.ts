/**
 * What `--debug` adds to the log: the plan, step by step, before it runs; and in runc's words the flags of the system call filter, and the
 * processors of an exec.
 */
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
          // Of the part of it that is written in C.
          if (step.kind === 'sched_setaffinity') debug(globals, `nsexec: affinity: ${hexMask(step.inputs.mask)}`);
        }
      }
    },
  };
}

function hexMask(mask: Uint8Array): string {
  const hex = Buffer.from(mask)
    .reverse()
    .toString('hex')
    .replace(/^0+(?=.)/, '');
  return `0x${hex}`;
}
