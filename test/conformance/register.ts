/** Gives the suite's cases to vitest, for one runtime: a few at a time, since most of a case is waiting for processes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bench, type Runtime } from './bench.js';
import { judge } from './judge.js';
import { SUITES } from './suites.js';

export function register(runtime: Runtime): void {
  let bench: Bench;
  beforeAll(async () => {
    bench = await Bench.open(runtime, 'conformance');
  });
  afterAll(async () => {
    const left = await bench?.leftovers();
    await bench?.close();
    expect(left).toEqual([]);
  });

  for (const suite of SUITES) {
    describe.concurrent(`${runtime.name}: ${suite.name}`, () => {
      for (const test of suite.cases) {
        it(`${test.name} (${test.stands})`, async (context) => {
          const verdict = await judge(bench, suite, test);
          if (verdict.as === 'skipped') context.skip(verdict.reason);
          if (verdict.as === 'failed') throw verdict.error;
        });
      }
    });
  }
}
