/**
 * Side by side: the candidates run in turn (A B C A B C ...), so that a machine whose speed drifts is unfair to nobody, and
 * what is compared is the ratio within each round. Times in milliseconds.
 */

export interface Candidate {
  readonly name: string;
  run(): Promise<void>;
  /** Removes what a run leaves; not measured. */
  clean?(): Promise<void>;
}

export interface Measured {
  readonly name: string;
  readonly times: readonly number[];
}

/** Runs every candidate `rounds` times, after `warmup` rounds that are not counted. */
export async function sideBySide(candidates: readonly Candidate[], rounds: number, warmup = 3): Promise<Measured[]> {
  const times = candidates.map((): number[] => []);
  for (let round = -warmup; round < rounds; round++) {
    for (const [i, candidate] of candidates.entries()) {
      const began = performance.now();
      await candidate.run();
      if (round >= 0) times[i]?.push(performance.now() - began);
      await candidate.clean?.();
    }
  }
  return candidates.map(({ name }, i) => ({ name, times: times[i] as number[] }));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/**
 * The time that nine tenths of the values are above: what it takes when the machine has little else to do. For what can not be run side by
 * side, as its circumstances take long to change.
 */
export function leastDecile(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 10)] ?? Number.NaN;
}

/** The median of a's time over b's, round by round. */
export function ratio(a: Measured, b: Measured): number {
  return median(a.times.map((time, i) => time / (b.times[i] as number)));
}

/** A line a candidate: median, least and greatest time, and the ratio of the first candidate's time to this one's. */
export function table(measured: readonly Measured[]): string {
  const first = measured[0] as Measured;
  const width = Math.max(...measured.map((m) => m.name.length));
  return measured
    .map((m) => {
      const [low, high] = [Math.min(...m.times), Math.max(...m.times)];
      const line = `  ${m.name.padEnd(width)}  ${median(m.times).toFixed(2).padStart(8)} ms  (${low.toFixed(2)} to ${high.toFixed(2)})`;
      return m === first ? line : `${line}   ${first.name} takes ${ratio(first, m).toFixed(2)}x of this`;
    })
    .join('\n');
}

/** A goal of the project, and whether it holds in this run. */
export function verdict(what: string, value: number, limit: number, unit = ''): string {
  return `  ${value <= limit ? 'holds ' : 'MISSED'}  ${what}: ${value.toFixed(2)}${unit}, at most ${limit}${unit}`;
}
