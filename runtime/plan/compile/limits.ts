/** Resource limits of the process itself (getrlimit(2)), and how soon the kernel ends it when memory runs out (proc(5)). */
import { TareError } from '../../kernel/error.js';
import { RLIM_INFINITY, RLIMITS } from '../../kernel/rlimits.js';
import type { Slot } from '../plan.js';
import type { Compilation } from './compilation.js';
import { writeProc } from './namespaces.js';

export function setLimits({ builder, process, caller, warnings }: Compilation): void {
  process.rlimits?.forEach((limit, i) => {
    const field = `process.rlimits[${i}]`;
    const resource = (RLIMITS as readonly string[]).indexOf(limit.type);
    if (resource < 0) {
      throw new TareError('config', `config.json: ${field}.type must be the name of a limit, not "${limit.type}"`, {
        path: `${field}.type`,
      });
    }
    // JSON's numbers are doubles: RLIM_INFINITY arrives as 2^64.
    let hard = clamp(BigInt(limit.hard), RLIM_INFINITY);
    let soft = clamp(BigInt(limit.soft), RLIM_INFINITY);
    const most = caller.hardLimit(resource);
    if (most !== undefined && hard > most) {
      warnings.push(
        `${field}: ${limit.type} is limited to ${most}: raising it above the caller’s own needs CAP_SYS_RESOURCE`,
      );
      hard = most;
      soft = clamp(soft, hard);
    }
    builder.inside
      .for(field)
      .prlimit({ resource, soft, hard }, `${limit.type}: ${show(soft)}, which it may itself raise to ${show(hard)}`);
  });
}

/** Outside: the process cannot write it itself once it is not dumpable. What `exec` starts has the container's, unless told. */
export function setOomScore(compilation: Compilation, pid: Slot<'pid'>): void {
  const score = oomScoreOf(compilation);
  if (score === undefined) return;
  writeProc(
    compilation.builder.outside.for('process.oomScoreAdj'),
    pid,
    'oom_score_adj',
    `${score}`,
    'how soon the kernel ends it when memory runs out',
  );
}

export function oomScoreOf({ config, process }: Compilation): number | undefined {
  return process.oomScoreAdj ?? config.process?.oomScoreAdj;
}

function clamp(value: bigint, most: bigint): bigint {
  return value > most ? most : value;
}

function show(value: bigint): string {
  return value === RLIM_INFINITY ? 'unlimited' : String(value);
}
