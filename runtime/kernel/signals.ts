/** Signals by name and number, on x86-64 and every architecture that shares its numbers. signal(7). */
import { TareError } from './error.js';

/** In the order of the kernel: `SIGHUP` is 1. */
export const SIGNALS = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGKILL',
  'SIGUSR1',
  'SIGSEGV',
  'SIGUSR2',
  'SIGPIPE',
  'SIGALRM',
  'SIGTERM',
  'SIGSTKFLT',
  'SIGCHLD',
  'SIGCONT',
  'SIGSTOP',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGURG',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGVTALRM',
  'SIGPROF',
  'SIGWINCH',
  'SIGIO',
  'SIGPWR',
  'SIGSYS',
] as const;

export const SIGKILL = 9;
export const SIGTERM = 15;

/** Names with the same number as another. */
const ALIASES: Readonly<Record<string, string>> = { SIGIOT: 'SIGABRT', SIGCLD: 'SIGCHLD', SIGPOLL: 'SIGIO' };

/** As the C library counts them: the kernel's first two are its own. */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/**
 * Those that a process in the foreground passes on to the one that it stands for: all but what it cannot have (SIGKILL, SIGSTOP), what is
 * about itself (its children, its window, its pipes, its own faults), and what stops it because it has no terminal to use: handled, those
 * two would come again for ever. 32 and 33 are the C library's own.
 */
export const PASSED_ON: readonly number[] = passedOn([
  'SIGKILL',
  'SIGSTOP',
  'SIGCHLD',
  'SIGWINCH',
  'SIGPIPE',
  'SIGILL',
  'SIGTRAP',
  'SIGBUS',
  'SIGFPE',
  'SIGSEGV',
  'SIGSYS',
  'SIGTTIN',
  'SIGTTOU',
]);

function passedOn(ours: readonly (typeof SIGNALS)[number][]): number[] {
  const standard = SIGNALS.flatMap((name, i) => (ours.includes(name) ? [] : [i + 1]));
  const realTime = Array.from({ length: SIGRTMAX - SIGRTMIN + 1 }, (_, i) => SIGRTMIN + i);
  return [...standard, ...realTime];
}

/**
 * The number of a signal that a user names: `SIGTERM`, `term`, `15`, `RTMIN+3`.
 * @throws TareError `usage` for what is none.
 */
export function parseSignal(text: string | number): number {
  if (/^\d+$/.test(String(text))) {
    const number = Number(text);
    if (number >= 1 && number <= SIGRTMAX) return number;
    throw new TareError('usage', `${text} is no signal: they are numbered from 1 to ${SIGRTMAX}`);
  }
  const upper = String(text).toUpperCase();
  const name = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  const position = (SIGNALS as readonly string[]).indexOf(ALIASES[name] ?? name);
  if (position >= 0) return position + 1;
  const real = realTime(name);
  if (real === undefined) throw new TareError('usage', `${JSON.stringify(text)} is no signal; kill -l lists them`);
  return real;
}

/** Whether `parseSignal` knows it. */
export function isSignal(text: string): boolean {
  try {
    return parseSignal(text) > 0;
  } catch (error) {
    if (error instanceof TareError && error.code === 'usage') return false;
    throw error;
  }
}

/** `SIGTERM` for 15, `SIGRTMIN+3` for 37. */
export function signalName(number: number): string {
  if (number >= SIGRTMIN && number <= SIGRTMAX)
    return number === SIGRTMIN ? 'SIGRTMIN' : `SIGRTMIN+${number - SIGRTMIN}`;
  return SIGNALS[number - 1] ?? `signal ${number}`;
}

function realTime(name: string): number | undefined {
  const match = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (!match) return undefined;
  const offset = Number(match[3] ?? 0) * (match[2] === '-' ? -1 : 1);
  const number = (match[1] === 'MIN' ? SIGRTMIN : SIGRTMAX) + offset;
  return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
}
