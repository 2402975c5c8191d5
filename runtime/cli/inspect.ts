/**
 * `tare inspect PID`: how contained a process is, as the kernel sees it from outside. `--against` compares its namespaces with
 * those of another process; `--json` prints the facts for machines. `tare inspect IMAGE` is `tare image inspect`: a number is a process.
 */
import { Command } from 'commander';
import {
  compareNamespaces,
  containment,
  describeFacts,
  type Grade,
  inspectProcess,
  localProc,
  type ProcessFacts,
} from '../inspect/index.js';
import { TareError } from '../kernel/error.js';
import { json, print } from './print.js';

const MARKS: Readonly<Record<Grade, string>> = { contained: '+', partly: '~', open: '-' };

interface Options {
  readonly against?: string;
  readonly json?: boolean;
  readonly platform?: string;
  readonly format?: string;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .argument('<what>', 'a process, by its number as this terminal sees it; or an image, by name or id')
    .option('--against <pid>', 'compare a process’s namespaces with those of another')
    .option('--platform <platform>', 'of an image of several platforms this one')
    .option('-f, --format <template>', 'of an image: {{.Id}}, {{json .Config}}')
    .option('--json', 'for machines')
    .addHelpText(
      'after',
      `
A number of up to seven digits is a process. An image whose id begins so is sha256:1234567, or "tare image inspect 1234567".

Examples:
  tare inspect 1234
  tare inspect --against $$ 1234
  tare inspect debian:12`,
    )
    .action((what: string, options: Options) =>
      PID.test(what) ? inspectPid(what, options) : inspectImage(what, options),
    );
}

const PID = /^[1-9]\d{0,6}$/;

async function inspectPid(pid: string, options: Options): Promise<void> {
  for (const name of ['platform', 'format'] as const)
    if (options[name] !== undefined) throw new TareError('usage', `--${name} is about images`);
  const source = localProc();
  const facts = await inspectProcess(source, processId(pid));
  const against = options.against ? await inspectProcess(source, processId(options.against)) : undefined;
  await print(options.json ? asJson(facts, against) : asText(facts, against));
}

async function inspectImage(what: string, options: Options): Promise<void> {
  if (options.against !== undefined) throw new TareError('usage', '--against is about processes');
  // As few as possible wait for the image store to be loaded.
  const { inspectImages } = await import('./image/inspect.js');
  await inspectImages([what], options);
}

/** @throws TareError `usage` */
function processId(text: string): number {
  if (PID.test(text)) return Number(text);
  throw new TareError('usage', `not a process id: ${JSON.stringify(text)}`);
}

function asText(facts: ProcessFacts, against: ProcessFacts | undefined): string {
  const lines: string[] = [];
  for (const { title, rows } of describeFacts(facts, against)) {
    if (lines.length > 0) lines.push('');
    lines.push(title);
    const width = rows.reduce((most, { name }) => Math.min(Math.max(most, name.length), 40), 0);
    for (const { name, value, grade } of rows) {
      lines.push(`  ${grade ? `${MARKS[grade]} ` : ''}${name.padEnd(width)}  ${value}`.trimEnd());
    }
    if (rows.some((row) => row.grade)) lines.push('  (+ separated from the machine, ~ in part, - not)');
  }
  return `${lines.join('\n')}\n`;
}

function asJson(facts: ProcessFacts, against: ProcessFacts | undefined): string {
  const compared = against && { pid: against.pid, ...compareNamespaces(facts.namespaces, against.namespaces) };
  return json({ ...facts, containment: containment(facts), ...(compared && { against: compared }) });
}
