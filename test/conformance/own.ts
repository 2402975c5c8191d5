/** The suite without a test runner: a few cases at a time, since most of a case is waiting for processes. */
import { Bench, type Runtime } from './bench.js';
import { judge, type Verdict } from './judge.js';
import { SUITES } from './suites.js';

export interface Outcome {
  readonly test: string;
  readonly stands: string;
  readonly as: Verdict['as'];
  /** The error, or the reason of a difference or of a skipped case. */
  readonly why: string;
}

/** @param onOutcome hears of each case when it has ended */
export async function runSuite(
  runtime: Runtime,
  filter: string,
  atOnce: number,
  onOutcome: (outcome: Outcome) => void,
): Promise<Outcome[]> {
  const bench = await Bench.open(runtime, 'conformance');
  const outcomes: Outcome[] = [];
  const cases = SUITES.flatMap((suite) =>
    suite.cases.map((test) => ({ suite, test, name: `${suite.name} > ${test.name}` })),
  );
  const waiting = cases.filter(({ name }) => name.includes(filter));
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const verdict = await judge(bench, next.suite, next.test);
      const why = verdict.as === 'failed' ? verdict.error.message : verdict.as === 'passed' ? '' : verdict.reason;
      const outcome = { test: next.name, stands: next.test.stands, as: verdict.as, why };
      outcomes.push(outcome);
      onOutcome(outcome);
    }
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, work));
  } finally {
    await bench.close();
  }
  return outcomes;
}
