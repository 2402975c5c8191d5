/** Work that Ctrl-C ends in order: what is half-made goes first. A second one ends it at once. signal(7) */
import { constants } from 'node:os';
import { TareError } from '../kernel/error.js';
import { warn } from './report-error.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs it with a signal that is aborted then; the exit code is 128+n. @param left a sentence about what it has left by then */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>, left?: string): Promise<void> {
  const controller = new AbortController();
  let exitCode: number | undefined;
  const onSignal = (name: (typeof SIGNALS)[number]) => {
    stop();
    exitCode = 128 + constants.signals[name];
    controller.abort(new TareError('state', 'interrupted'));
  };
  const stop = () => {
    for (const name of SIGNALS) process.off(name, onSignal);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    await work(controller.signal);
  } catch (error) {
    if (exitCode === undefined) throw error;
    if (left !== undefined) warn('tare', left);
    process.exitCode = exitCode;
  } finally {
    stop();
  }
}
