/** The tables that `npm run conformance` prints, and whether Tare did all that it must. */
import type { Outcome } from './own.js';
import { BROKEN, REASONS, REASONS_IN_MACHINE, VACUOUS } from './validation/reasons.js';
import type { Result } from './validation/run.js';

const TARE = 'tare-oci';

interface Printed {
  readonly text: string;
  /** Nothing fails that has no reason written down. */
  readonly good: boolean;
}

/** @param inMachine it was a virtual machine, which has reasons of its own */
export function validationTable(results: ReadonlyMap<string, readonly Result[]>, inMachine: boolean): Printed {
  const runtimes = [...results.keys()];
  const names = (results.get(TARE) ?? [...results.values()][0] ?? []).map(({ name }) => name);
  const of = (runtime: string, name: string) => results.get(runtime)?.find((result) => result.name === name);
  let good = true;
  const rows = names.map((name) => {
    const mine = of(TARE, name);
    const counted = !VACUOUS.includes(name);
    const reason = (inMachine ? REASONS_IN_MACHINE : REASONS)[name];
    if (counted && mine !== undefined && mine.as !== 'pass' && reason === undefined) good = false;
    const why = mine?.as === 'pass' ? '' : (reason ?? mine?.why ?? '');
    const note = counted ? why : `not counted: a runtime that does nothing passes too. ${why}`;
    return [name, ...runtimes.map((runtime) => of(runtime, name)?.as ?? '?'), note];
  });
  for (const [name, why] of Object.entries(BROKEN)) rows.push([name, ...runtimes.map(() => '-'), `not run: ${why}`]);
  const passed = runtimes.map((runtime) => {
    const counted = (results.get(runtime) ?? []).filter(({ name }) => !VACUOUS.includes(name));
    return `${runtime} passes ${counted.filter(({ as }) => as === 'pass').length} of ${counted.length}`;
  });
  const text = `${columns([['validation program', ...runtimes, 'why Tare does not pass'], ...rows])}\n\n${passed.join(', ')}\n`;
  return { text, good };
}

export function outcomeTable(outcomes: ReadonlyMap<string, readonly Outcome[]>): Printed {
  const runtimes = [...outcomes.keys()];
  const kinds = ['passed', 'differs', 'failed', 'skipped'] as const;
  const count = (runtime: string, kind: string) => (outcomes.get(runtime) ?? []).filter(({ as }) => as === kind).length;
  const lines = [
    columns([
      ['this suite', ...kinds],
      ...runtimes.map((one) => [one, ...kinds.map((kind) => String(count(one, kind)))]),
    ]),
  ];
  for (const kind of ['failed', 'differs'] as const) {
    for (const runtime of runtimes) {
      const these = (outcomes.get(runtime) ?? []).filter(({ as }) => as === kind);
      if (these.length === 0) continue;
      const rows = these.map(({ test, why }) => [`  ${test}`, why.split('\n')[0] as string]);
      lines.push(
        `\n${runtime} ${kind === 'failed' ? 'fails' : 'differs, for a reason that is known'}:\n${columns(rows)}`,
      );
    }
  }
  return { text: `${lines.join('\n')}\n`, good: runtimes.every((runtime) => count(runtime, 'failed') === 0) };
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd((widths[i] ?? 0) + 2)))
        .join('')
        .trimEnd(),
    )
    .join('\n');
}
