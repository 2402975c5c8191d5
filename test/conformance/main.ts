/**
 * Where there is no test runner, as in a virtual machine: `own RUNTIME [FILTER]` runs this suite, and
 * `validation SUITE RUNTIME NAME...` programs of the OCI runtime-tools. One line of JSON for each result.
 */
import { chosenRuntime } from './bench.js';
import { runSuite } from './own.js';
import { validate } from './validation/run.js';

const line = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

/** @param argv as process.argv has it: the words are after the program's path */
export async function main(argv: readonly string[]): Promise<void> {
  const [what, ...words] = argv.slice(2);
  if (what === 'own') {
    await runSuite(chosenRuntime(words[0]), words[1] ?? '', 2, line);
  } else if (what === 'validation') {
    const [suite = '', runtime, ...names] = words;
    for (const name of names) line(await validate(suite, chosenRuntime(runtime), name));
  } else {
    process.stderr.write('usage: own RUNTIME [FILTER] | validation SUITE RUNTIME NAME...\n');
    process.exitCode = 2;
  }
}
