/** HEALTHCHECK: NONE, or how often and for how long a command is tried. */
import type { Context } from './context.js';
import { parseDuration } from './duration.js';
import type { HealthcheckInstruction, Word } from './types.js';

const FLAGS = {
  interval: 'one',
  timeout: 'one',
  'start-period': 'one',
  'start-interval': 'one',
  retries: 'one',
} as const;
const MILLISECOND = 1e6;

export function parseHealthcheck(context: Context): HealthcheckInstruction {
  const flags = context.flags(FLAGS);
  const rest = context.needed('NONE, or CMD and a command');
  const inner = context.within();
  if (inner.name === 'NONE') {
    if (inner.rest.text !== '') throw context.source.error(inner.at, 'HEALTHCHECK NONE has no arguments');
    return { kind: 'healthcheck', ...context.placed() };
  }
  if (inner.name !== 'CMD')
    throw context.source.error(
      rest.line.at(rest.offset),
      `HEALTHCHECK is followed by CMD or NONE, not ${JSON.stringify(inner.written)}`,
    );
  inner.needed('a command');
  const command = inner.command();
  if (command.form === 'exec' && command.args.length === 0) throw context.source.error(inner.at, 'CMD needs a command');
  const times = {
    interval: duration(context, 'interval', flags.value('interval')),
    timeout: duration(context, 'timeout', flags.value('timeout')),
    startPeriod: duration(context, 'start-period', flags.value('start-period')),
    startInterval: duration(context, 'start-interval', flags.value('start-interval')),
    retries: retries(context, flags.value('retries')),
  };
  const given = Object.fromEntries(Object.entries(times).filter(([, value]) => value !== undefined));
  return { kind: 'healthcheck', command, ...given, ...context.placed() };
}

function duration(context: Context, name: string, word: Word | undefined): number | undefined {
  if (word === undefined) return undefined;
  const value = parseDuration(word.text);
  if (value === undefined) throw context.source.error(word.at, `--${name} is a time such as 30s or 1m30s`);
  if (value !== 0 && value < MILLISECOND) throw context.source.error(word.at, `--${name} is at least 1ms`);
  return value;
}

function retries(context: Context, word: Word | undefined): number | undefined {
  if (word === undefined) return undefined;
  if (!/^\d{1,9}$/.test(word.text)) throw context.source.error(word.at, '--retries is a number, 0 or more');
  return Number(word.text);
}
