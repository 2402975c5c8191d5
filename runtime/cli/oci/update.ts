/** `tare-oci update`: new limits for a container, by options or as linux.resources of config.json has them. runc-update(8). */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { TareError } from '../../kernel/error.js';
import { parseDocument, type Resources, validResources } from '../../oci/index.js';
import type { OciContext } from './context.js';
import { warning } from './log.js';

/** What an option changes: a section of the resources, its field, and how its value is read. */
const LIMITS: readonly (readonly [
  option: string,
  section: keyof Resources,
  field: string,
  kind: Kind,
  what: string,
])[] = [
  ['--blkio-weight', 'blockIO', 'weight', 'number', 'share of the disk, 10 to 1000'],
  ['--cpu-period', 'cpu', 'period', 'number', 'microseconds in which the quota holds'],
  ['--cpu-quota', 'cpu', 'quota', 'number', 'microseconds of processor time in a period; -1 for no limit'],
  ['--cpu-burst', 'cpu', 'burst', 'number', 'microseconds that it may save up'],
  ['--cpu-share', 'cpu', 'shares', 'number', 'share of the processors, against other containers'],
  ['--cpu-rt-period', 'cpu', 'realtimePeriod', 'number', 'microseconds in which the real-time limit holds'],
  ['--cpu-rt-runtime', 'cpu', 'realtimeRuntime', 'number', 'microseconds of real-time scheduling in a period'],
  ['--cpuset-cpus', 'cpu', 'cpus', 'text', 'processors: 0-3,7'],
  ['--cpuset-mems', 'cpu', 'mems', 'text', 'memory nodes: 0-1'],
  ['--cpu-idle', 'cpu', 'idle', 'number', '1: only when nobody else wants a processor'],
  ['--memory', 'memory', 'limit', 'size', 'memory: 64m, 1g; -1 for no limit'],
  ['--memory-reservation', 'memory', 'reservation', 'size', 'memory that is left to it when others want it'],
  ['--memory-swap', 'memory', 'swap', 'size', 'memory and swap together; -1 for no limit'],
  ['--kernel-memory', 'memory', 'kernel', 'size', 'accepted: kernels no longer have it'],
  ['--kernel-memory-tcp', 'memory', 'kernelTCP', 'size', 'accepted: ignored, as runc does'],
  ['--pids-limit', 'pids', 'limit', 'number', 'processes'],
];
type Kind = 'number' | 'size' | 'text';

interface UpdateFlags extends Readonly<Record<string, string | undefined>> {
  readonly resources?: string;
  readonly l3CacheSchema?: string;
  readonly memBwSchema?: string;
}

export function updateCommand(context: OciContext): Command {
  const command = new Command('update')
    .argument('<container-id>')
    .option('-r, --resources <file>', 'read linux.resources from this file, or with - from standard input')
    .option('--l3-cache-schema <schema>', 'its share of the cache (Intel RDT)')
    .option('--mem-bw-schema <schema>', 'its share of the memory bandwidth (Intel RDT)');
  for (const [option, , , kind, what] of LIMITS) command.option(`${option} <${kind}>`, what);
  return command.action(async (id: string, flags: UpdateFlags) => {
    const { resources, l3CacheSchema, memBwSchema } = flags;
    const container = context.open(id);
    const change = resources ? readResources(resources) : validResources(fromFlags(flags), 'the options');
    const { memory } = change;
    if (memory?.kernel !== undefined || memory?.kernelTCP !== undefined)
      warning(context.globals, 'kernel memory settings are ignored: the kernel has none any more');
    await container.update(withoutKernelMemory(change), { l3CacheSchema, memBwSchema });
  });
}

function readResources(file: string): Resources {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    throw new TareError('usage', `--resources ${file}: ${(cause as Error).message}`, { cause, path: file });
  }
  const name = file === '-' ? 'standard input' : file;
  return validResources(parseDocument(text, name), name);
}

function fromFlags(flags: UpdateFlags): Record<string, Record<string, unknown>> {
  const change: Record<string, Record<string, unknown>> = {};
  for (const [option, section, field, kind] of LIMITS) {
    const text = flags[camelCase(option)];
    if (text === undefined || text === '') continue;
    const value = kind === 'text' ? text : kind === 'size' ? bytes(option, text) : whole(option, text);
    change[section] = { ...change[section], [field]: value };
  }
  return change;
}

/** As commander calls what it has read of an option. */
function camelCase(option: string): string {
  return option.slice(2).replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function whole(option: string, text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new TareError('usage', `invalid value for ${option.slice(2)}: ${JSON.stringify(text)} is not a whole number`);
}

const UNITS = ['', 'k', 'm', 'g', 't', 'p'];

/** `64m`, `64MiB`, `64MB`: all are powers of 1024, as engines have it. */
function bytes(option: string, text: string): number {
  if (text === '-1') return -1;
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  const size = Math.floor(Number(match?.[1]) * 1024 ** UNITS.indexOf(match?.[2]?.toLowerCase() ?? ''));
  if (match && Number.isSafeInteger(size)) return size;
  throw new TareError('usage', `invalid value for ${option.slice(2)}: ${JSON.stringify(text)} is no size such as 64m`);
}

function withoutKernelMemory(change: Resources): Resources {
  if (!change.memory) return change;
  const { kernel: _, kernelTCP: __, ...memory } = change.memory;
  return { ...change, memory };
}
