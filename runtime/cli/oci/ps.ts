/**
 * `tare-oci ps`: the processes of a container, with the pids that they have here: as JSON, or as ps(1) shows them, whose options may
 * follow. runc-ps(8).
 */
import { spawnSync } from 'node:child_process';
import { Command, Option } from 'commander';
import { TareError } from '../../kernel/error.js';
import { print } from '../print.js';
import type { OciContext } from './context.js';

export function psCommand(context: OciContext): Command {
  return new Command('ps')
    .argument('<container-id>')
    .argument('[ps-options...]', 'options of ps(1), among them one that shows the pid; -ef unless told')
    .addOption(new Option('-f, --format <format>', 'table or json').choices(['table', 'json']).default('table'))
    .passThroughOptions()
    .action(async (id: string, options: string[], { format }: { format: string }) => {
      const pids = context.open(id).processes();
      if (format === 'json') return print(`${JSON.stringify(pids)}\n`);
      return print(table(new Set(pids), options.length > 0 ? options : ['-ef']));
    });
}

/** The heading, and the lines of these processes. @throws TareError `not-found` without ps, `usage` for options that it refuses */
function table(pids: ReadonlySet<number>, options: readonly string[]): string {
  const { stdout, stderr, status, error } = spawnSync('ps', options, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const what = missing
      ? 'is not here (Debian: procps); --format json needs none'
      : `could not be run: ${error.message}`;
    throw new TareError(missing ? 'not-found' : 'system-call', `ps ${what}`, { cause: error });
  }
  if (status !== 0) throw new TareError('usage', `ps ${options.join(' ')}: ${stderr.trim() || `ended with ${status}`}`);
  const [heading = '', ...lines] = stdout.split('\n');
  const column = heading.trim().split(/\s+/).indexOf('PID');
  if (column < 0) throw new TareError('usage', `couldn't find PID field in what ps ${options.join(' ')} printed`);
  const ours = lines.filter((line) => pids.has(Number(line.trim().split(/\s+/)[column])));
  return `${[heading, ...ours].join('\n')}\n`;
}
