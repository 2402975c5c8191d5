/**
 * `node dist/test/conformance/main.js RUNTIME [FILTER]`: the suite without a test runner, for machines that have none. Writes one
 * JSON line a case; ends with 1 when a case failed.
 */
import { Bench, chosenRuntime } from './bench.js';
import { judge } from './judge.js';
import { SUITES } from './suites.js';

export async function main([path, filter = '']: readonly string[]): Promise<boolean> {
  const bench = await Bench.open(chosenRuntime(path), 'conformance');
  let good = true;
  try {
    for (const suite of SUITES) {
      for (const test of suite.cases) {
        const name = `${suite.name} > ${test.name}`;
        if (!name.includes(filter)) continue;
        const verdict = await judge(bench, suite, test);
        const why = verdict.as === 'failed' ? verdict.error.message : 'reason' in verdict ? verdict.reason : '';
        good &&= verdict.as !== 'failed';
        process.stdout.write(`${JSON.stringify({ test: name, stands: test.stands, as: verdict.as, why })}\n`);
      }
    }
  } finally {
    await bench.close();
  }
  return good;
}

process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
