/**
 * `npm run conformance`: the validation programs of the OCI runtime-tools and this suite, against Tare and runc side by side, and
 * one table of each. Ends with 1 when Tare fails without a reason that is written down.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { TareError } from '../../runtime/kernel/error.js';
import { chosenRuntime } from './bench.js';
import { type Laboratory, openLaboratory } from './machine.js';
import { type Outcome, runSuite } from './own.js';
import { outcomeTable, validationTable } from './table.js';
import { prepareSuite } from './validation/prepare.js';
import { BROKEN } from './validation/reasons.js';
import { programs, type Result, validate } from './validation/run.js';

const USAGE = `npm run conformance -- [OPTIONS] [NAME...]
  NAME           only the validation programs and cases whose name contains it
  --suite DIR    validation programs that are built already: t/, runtimetest, rootfs-amd64.tar.gz ($TARE_VALIDATION_SUITE)
  --only PART    validation or own
  --runtime NAME only runc, tare-oci or, in a machine, crun; several times for several
  --vm           in a virtual machine with cgroups of version 2; against crun too, where this host has it
`;

/** A line that tells what is going on. */
export type Say = (sentence: string) => void;

export async function main(argv: readonly string[], say: Say): Promise<boolean> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      suite: { type: 'string', default: process.env.TARE_VALIDATION_SUITE },
      only: { type: 'string' },
      runtime: { type: 'string', multiple: true },
      vm: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return true;
  }
  if (values.only && !['validation', 'own'].includes(values.only))
    throw new TareError('usage', `--only takes validation or own, not ${values.only}`);
  const wanted = (name: string) => positionals.length === 0 || positionals.some((part) => name.includes(part));
  const asked = (name: string) => values.runtime === undefined || values.runtime.includes(name);
  const laboratory = values.vm ? await openLaboratory(say, asked) : undefined;
  const runtimes = laboratory ? Object.keys(laboratory.runtimes) : ['runc', 'tare-oci'].filter(asked);
  try {
    let good = true;
    if (values.only !== 'own')
      good = (await validation(await suiteOf(values.suite, say), wanted, runtimes, laboratory, say)) && good;
    if (values.only !== 'validation') good = (await own(positionals[0] ?? '', runtimes, laboratory, say)) && good;
    return good;
  } finally {
    await laboratory?.close();
  }
}

async function suiteOf(given: string | undefined, say: Say): Promise<string> {
  if (given === undefined) return await prepareSuite(say);
  const suite = resolve(given);
  for (const folder of [suite, join(suite, 'validation')]) {
    if (existsSync(join(folder, 't')) && existsSync(join(folder, 'runtimetest'))) return folder;
  }
  throw new TareError(
    'not-found',
    `${suite} holds no validation programs: it needs a folder t with one program a test, and runtimetest`,
  );
}

/** One program after the other: they use the same cgroups. */
async function validation(
  suite: string,
  wanted: (name: string) => boolean,
  runtimes: readonly string[],
  machine: Laboratory | undefined,
  say: Say,
) {
  const names = programs(suite).filter((name) => wanted(name) && !(name in BROKEN));
  const results = new Map<string, Result[]>();
  for (const [i, runtime] of runtimes.entries()) {
    for (const [j, name] of names.entries()) {
      say(`the validation programs: ${i * names.length + j + 1}/${runtimes.length * names.length}: ${runtime} ${name}`);
      const result = machine
        ? await machine.validate(suite, machine.runtimes[runtime] as string, name)
        : await validate(suite, chosenRuntime(runtime === 'runc' ? 'runc' : undefined), name);
      results.set(runtime, [...(results.get(runtime) ?? []), result]);
    }
  }
  const { text, good } = validationTable(results, machine !== undefined);
  console.log(text);
  return good;
}

async function own(
  filter: string,
  runtimes: readonly string[],
  machine: Laboratory | undefined,
  say: Say,
): Promise<boolean> {
  const outcomes = new Map<string, Outcome[]>();
  for (const name of runtimes) {
    let count = 0;
    const tell = (outcome: Outcome) => say(`this suite with ${name}: ${++count} ${outcome.test}`);
    outcomes.set(
      name,
      machine
        ? await machine.own(machine.runtimes[name] as string, filter, tell)
        : await runSuite(chosenRuntime(name === 'runc' ? 'runc' : undefined), filter, 3, tell),
    );
  }
  const { text, good } = outcomeTable(outcomes);
  console.log(text);
  return good;
}
