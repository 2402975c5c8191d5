/**
 * `tare-oci events`: what a container uses, time and again, and when processes of it are killed for want of memory; a line of JSON
 * each. Ends with the container. runc-events(8).
 */
import { Command } from 'commander';
import { TareError } from '../../kernel/error.js';
import { exactJson } from '../../kernel/exact-json.js';
import { printNow } from '../print.js';
import type { OciContext } from './context.js';

export function eventsCommand(context: OciContext): Command {
  return new Command('events')
    .argument('<container-id>')
    .option('--interval <duration>', 'how often: 5s, 500ms, 1m30s', '5s')
    .option('--stats', 'once, and end')
    .action(async (id: string, { interval, stats }: { interval: string; stats?: boolean }) => {
      const container = context.open(id);
      const every = milliseconds(interval);
      if (container.state().status === 'stopped')
        throw new TareError('state', `container with id ${id} is not running`);
      const report = () => print({ type: 'stats', id, data: container.stats() });
      if (stats) {
        report();
        return;
      }
      const stop = new AbortController();
      let failure: unknown;
      const timer = setInterval(() => {
        try {
          if (!report()) stop.abort();
        } catch (error) {
          failure = error;
          stop.abort();
        }
      }, every);
      try {
        for await (const _ of container.oomEvents(stop.signal)) if (!print({ type: 'oom', id })) return;
      } finally {
        clearInterval(timer);
      }
      if (failure && !isGone(failure)) throw failure;
    });
}

/** It was deleted while we looked. */
function isGone(error: unknown): boolean {
  return error instanceof TareError && error.code === 'not-found';
}

/** One write a line: who reads along never sees half of one. False when nobody reads any more. */
function print(event: { type: string; id: string; data?: unknown }): boolean {
  return printNow(1, `${exactJson(event)}\n`);
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** As Go writes durations. @throws TareError `usage` */
function milliseconds(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const all = parts.map(([part]) => part).join('') === text && parts.length > 0;
  const sum = parts.reduce((total, [, number, unit]) => total + Number(number) * (UNITS[unit ?? ''] ?? 0), 0);
  if (!all && Number(text) !== 0) throw new TareError('usage', `--interval ${text}: must be a duration such as 5s`);
  if (!all || sum <= 0) throw new TareError('usage', 'duration interval must be greater than 0');
  // What a timer can wait for.
  return Math.min(Math.max(sum, 1), 2 ** 31 - 1);
}
