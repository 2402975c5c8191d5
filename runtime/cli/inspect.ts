/**
 * `tare inspect PID`: how contained a process is, as the kernel sees it from outside. `--against` compares its namespaces with
 * those of another process; `--json` prints the facts for machines.
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
import { print } from './print.js';

const MARKS: Readonly<Record<Grade, string>> = { contained: '+', partly: '~', open: '-' };

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Say how contained a process is')
    .argument('<pid>', 'the process, as this terminal sees it')
    .option('--against <pid>', 'compare its namespaces with those of another process')
    .option('--json', 'for machines')
    .action(async (pid: string, options: { against?: string; json?: boolean }) => {
      const source = localProc();
      const facts = await inspectProcess(source, processId(pid));
      const against = options.against ? await inspectProcess(source, processId(options.against)) : undefined;
      await print(options.json ? asJson(facts, against) : asText(facts, against));
    });
}

/** @throws TareError `usage` */
function processId(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new TareError('usage', `not a process id: ${JSON.stringify(text)}`);
}

function asText(facts: ProcessFacts, against: ProcessFacts | undefined): string {
  const lines: string[] = [];
  for (const { title, rows } of describeFacts(facts, against)) {
    if (lines.length > 0) lines.push('');
    lines.push(title);
    const width = Math.min(Math.max(...rows.map((row) => row.name.length)), 40);
    for (const { name, value, grade } of rows) {
      lines.push(`  ${grade ? `${MARKS[grade]} ` : ''}${name.padEnd(width)}  ${value}`.trimEnd());
    }
    if (rows.some((row) => row.grade)) lines.push('  (+ separated from the machine, ~ in part, - not)');
  }
  return `${lines.join('\n')}\n`;
}

function asJson(facts: ProcessFacts, against: ProcessFacts | undefined): string {
  const compared = against && { pid: against.pid, ...compareNamespaces(facts.namespaces, against.namespaces) };
  const text = JSON.stringify(
    { ...facts, containment: containment(facts), ...(compared && { against: compared }) },
    null,
    2,
  );
  // JSON.stringify leaves the control characters above U+007E, and those that turn text, as they are.
  return `${text.replace(/[\u007f-\u009f\p{Cf}]/gu, escaped)}\n`;
}

function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
