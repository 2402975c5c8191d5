/** Resource limits of the process itself (getrlimit(2)), and how soon the kernel ends it when memory runs out (proc(5)). */
import { TareError } from '../../kernel/error.js';
import type { Slot } from '../plan.js';
import type { Compilation } from './compilation.js';
import { writeProc } from './namespaces.js';

/** <asm-generic/resource.h>: the position is the number. */
const RESOURCES = [
  'RLIMIT_CPU',
  'RLIMIT_FSIZE',
  'RLIMIT_DATA',
  'RLIMIT_STACK',
  'RLIMIT_CORE',
  'RLIMIT_RSS',
  'RLIMIT_NPROC',
  'RLIMIT_NOFILE',
  'RLIMIT_MEMLOCK',
  'RLIMIT_AS',
  'RLIMIT_LOCKS',
  'RLIMIT_SIGPENDING',
  'RLIMIT_MSGQUEUE',
  'RLIMIT_NICE',
  'RLIMIT_RTPRIO',
  'RLIMIT_RTTIME',
];
const INFINITY = 2n ** 64n - 1n;

export function setLimits({ builder, config, caller, warnings }: Compilation): void {
  config.process?.rlimits?.forEach((limit, i) => {
    const field = `process.rlimits[${i}]`;
    const resource = RESOURCES.indexOf(limit.type);
    if (resource < 0) {
      throw new TareError('config', `config.json: ${field}.type must be the name of a limit, not "${limit.type}"`, {
        path: `${field}.type`,
      });
    }
    // JSON's numbers are doubles: RLIM_INFINITY arrives as 2^64.
    let hard = clamp(BigInt(limit.hard), INFINITY);
    let soft = clamp(BigInt(limit.soft), INFINITY);
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

/** Outside: the process cannot write it itself once it is not dumpable. */
export function setOomScore({ builder, config }: Compilation, pid: Slot<'pid'>): void {
  const score = config.process?.oomScoreAdj;
  if (score === undefined) return;
  writeProc(
    builder.outside.for('process.oomScoreAdj'),
    pid,
    'oom_score_adj',
    `${score}`,
    'how soon the kernel ends it when memory runs out',
  );
}

function clamp(value: bigint, most: bigint): bigint {
  return value > most ? most : value;
}

function show(value: bigint): string {
  return value === INFINITY ? 'unlimited' : String(value);
}
