/** Waiting for what no descriptor tells: asks again until it is so. The limit is there to end, not to measure. */
import { setTimeout as sleep } from 'node:timers/promises';

const LIMIT_MS = 60_000;

/** @returns the first answer that is one. @throws Error when there never is */
export async function until<T>(ask: () => T | false | undefined): Promise<T> {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const answer = ask();
    if (answer !== false && answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`never: ${ask}`);
    await sleep(5);
  }
}
