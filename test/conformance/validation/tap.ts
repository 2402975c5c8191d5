/**
 * What a validation program's output says: pass, fail or skip. Most write points of the Test Anything Protocol; those about hooks
 * and about process_*_fail write none, and tell of an error by a diagnostic or by their exit code.
 */
import type { Ran } from '../../harness/world.js';

export interface Verdict {
  readonly as: 'pass' | 'fail' | 'skip';
  /** Why it did not pass, in one line. */
  readonly why: string;
}

/** It passes when it ends with 0, has written all the points that it planned, at least one of them real, and none is `not ok`. */
export function verdictOf({ status, stdout, stderr }: Ran): Verdict {
  const lines = stdout.split('\n');
  const points = lines.filter((line) => /^(not )?ok\b/.test(line));
  const bad = points.filter((line) => line.startsWith('not ok') && !/# *TODO/.test(line));
  const skipped = points.filter((line) => /# *SKIP/i.test(line));
  const planned = Number(lines.map((line) => /^1\.\.(\d+)$/.exec(line)?.[1]).findLast((text) => text) ?? 0);
  const error = /"error": *("(?:[^"\\]|\\.)*")/.exec(stdout)?.[1];
  const first = stderr.trim().split('\n')[0] ?? '';

  if (status !== 0) return { as: 'fail', why: `exit code ${status}: ${first}` };
  if (bad.length > 0)
    return { as: 'fail', why: `${bad.length} of ${points.length}: ${bad[0]?.replace(/^not ok \d+ - /, '')}` };
  if (points.length === 0 && error) return { as: 'fail', why: String(JSON.parse(error)).split('\n')[0] as string };
  if (points.length < planned) return { as: 'fail', why: `${points.length} of ${planned} points were written` };
  if (points.length > 0 && skipped.length === points.length) return { as: 'skip', why: skipped[0] as string };
  return { as: 'pass', why: '' };
}
