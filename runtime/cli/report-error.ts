/**
 * An error as the person at the terminal sees it: one sentence, no stack, and the exit code that goes with it. Set
 * TARE_DEBUG to see the stack too.
 */
import { CommanderError } from 'commander';
import { TareError } from '../kernel/error.js';
import { isUnmakable } from '../kernel/files.js';
import { printable, printNow } from './print.js';

const OWN_FAILURE = 125;

/** Prints the error, if there is something to say, and returns the exit code. @param asLine how the sentence is written, without its newline */
export function reportError(
  program: string,
  error: unknown,
  asLine: (sentence: string) => string = (sentence) => `${program}: ${sentence}`,
): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0; // help, version
  // A command without the subcommand that it needs: its help has been printed and says all there is to say.
  if (error instanceof CommanderError && error.code === 'commander.help') return OWN_FAILURE;
  // Written at once: process.stderr would make a pipe non-blocking for everybody who shares it.
  printNow(2, `${asLine(sentence(error))}\n`);
  if (process.env.TARE_DEBUG && error instanceof Error) printNow(2, `${error.stack}\n`);
  return error instanceof TareError ? error.exitCode : OWN_FAILURE;
}

/** Prints a sentence that does not end the command. */
export function warn(program: string, text: string): void {
  say(program, `warning: ${text}`);
}

/** Prints what is good to know. */
export function say(program: string, text: string): void {
  printNow(2, `${program}: ${printable(text)}\n`);
}

function sentence(error: unknown): string {
  if (error instanceof CommanderError) return printable(error.message.replace(/^error: /, ''));
  if (error instanceof TareError) return printable(error.message);
  if (isRefusal(error)) return printable(error.message);
  if (error instanceof Error) return `internal error: ${printable(error.message)}`;
  return `internal error: ${printable(String(error))}`;
}

/** What the kernel refused Node is of the machine, not of Tare: a full disk, a folder of somebody else. */
function isRefusal(error: unknown): error is NodeJS.ErrnoException {
  if (isUnmakable(error)) return true;
  return error instanceof Error && 'syscall' in error && REFUSALS.has((error as NodeJS.ErrnoException).code ?? '');
}

const REFUSALS = new Set('ENOSPC EDQUOT EROFS EACCES EPERM ENOTDIR EISDIR ELOOP EMFILE ENFILE EIO ENXIO'.split(' '));
