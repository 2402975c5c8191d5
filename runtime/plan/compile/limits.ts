/** Resource limits of the process itself (getrlimit(2)), and how soon the kernel ends it when memory runs out (proc(5)). */
import { TareError } from '../../kernel/error.js';
import { RLIM_INFINITY, RLIMITS } from '../../kernel/rlimits.js';
import type { Rlimit } from '../../oci/index.js';
import type { Slot } from '../plan.js';
import { type Compilation, has, type Limit } from './compilation.js';
import { writeProc } from './namespaces.js';

export function setLimits({ builder, process, caller, warnings }: Compilation): void {
  const limits = process.rlimits ?? [];
  limits.forEach((limit, i) => {
    const field = `process.rlimits[${i}]`;
    const resource = resourceOf(limit, field);
    let { soft, hard } = valuesOf(limit);
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
  if (caller.openFiles === undefined || limits.some(({ type }) => type === 'RLIMIT_NOFILE')) return;
  builder.inside
    .for('process.rlimits')
    .prlimit(
      { resource: RLIMITS.indexOf('RLIMIT_NOFILE'), ...caller.openFiles },
      'RLIMIT_NOFILE: that of the caller, which Node has raised for itself',
    );
}

/**
 * Outside, before the process that inherits them is there: who is root in a user namespace only may not raise a hard limit, prlimit(2). Of
 * stage's own limits the soft ones, which bind it, stay as they are.
 */
export function raiseLimits(compilation: Compilation): void {
  const { builder, process, caller } = compilation;
  if (!has(compilation, 'user')) return;
  process.rlimits?.forEach((limit, i) => {
    const field = `process.rlimits[${i}]`;
    const resource = resourceOf(limit, field);
    const { hard } = valuesOf(limit);
    const now = caller.ownLimit?.(resource);
    if (now === undefined || caller.hardLimit(resource) !== undefined || hard <= now.hard) return;
    builder.outside
      .for(field)
      .prlimit(
        { resource, soft: now.soft, hard },
        `${limit.type}: raised while that is allowed: not in a user namespace`,
      );
  });
}

function resourceOf({ type }: Rlimit, field: string): number {
  const resource = (RLIMITS as readonly string[]).indexOf(type);
  if (resource >= 0) return resource;
  throw new TareError('config', `config.json: ${field}.type must be the name of a limit, not "${type}"`, {
    path: `${field}.type`,
  });
}

/** JSON's numbers may be doubles: then RLIM_INFINITY arrives as 2^64. */
function valuesOf({ soft, hard }: Rlimit): Limit {
  return { soft: clamp(BigInt(soft), RLIM_INFINITY), hard: clamp(BigInt(hard), RLIM_INFINITY) };
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
