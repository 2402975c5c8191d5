/**
 * A failed step as an error: the call as strace shows it, its errno, the config field that asked for it and why. A command
 * that is not there, or cannot be executed, gets the codes (and so the exit codes 127 and 126) that Docker gives it.
 */
import { errnoName, errnoNumber } from '../kernel/errno.js';
import { type ErrorCode, formatCall, TareError } from '../kernel/error.js';
import type { Slot, Step } from './plan.js';
import type { Report } from './reports.js';
import { quote, slotText, stepText } from './symbols.js';

/** The error of a `failed` report. `cause` is what a call step's handler threw. */
export function stepFailure(step: Step, report: Report, cause?: unknown): TareError {
  const errno = errnoName(report.error);
  const { name, args } = stepText(step);
  const syscall = { name: report.name || name, args, errno };
  const code = codeOf(step, errno);
  const path = step.field === 'default' || step.field === '' ? undefined : step.field;
  const why = [path, step.why].filter(Boolean).join(': ');
  const text = code === 'plan' ? failedCall(step, syscall) : notRun(step, code, errno);
  const because = cause instanceof Error ? `: ${cause.message}` : '';
  return new TareError(code, `${text}${why && ` (${why})`}${because}`, { syscall, path, cause });
}

/** The errno with which a call step fails when its handler threw this: the error's own where it has one, else EIO. */
export function answerErrno(error: unknown): number {
  const { syscall, code, cause } = (error ?? {}) as {
    syscall?: { errno: string };
    code?: string;
    cause?: { code?: string };
  };
  for (const name of [syscall?.errno, code, cause?.code]) {
    const number = name === undefined ? undefined : errnoNumber(name);
    if (number) return number;
  }
  return errnoNumber('EIO') as number;
}

/** execve(2): these say that the file is there and cannot be run. */
const NOT_EXECUTABLE = new Set(['EACCES', 'ENOEXEC', 'EISDIR', 'ELIBBAD', 'ETXTBSY', 'EPERM', 'EINVAL']);

function codeOf(step: Step, errno: string): ErrorCode {
  if (step.kind !== 'exec' && step.kind !== 'exec_fd') return 'plan';
  if (errno === 'ENOENT' || errno === 'ENOTDIR') return 'command-not-found';
  return NOT_EXECUTABLE.has(errno) ? 'command-not-executable' : 'plan';
}

/** A kind of several system calls (mkdir_in_root) reports which of them it was. */
function failedCall(step: Step, syscall: { name: string; args: string; errno: string }): string {
  if (syscall.name === step.kind) return formatCall(syscall);
  return `${step.kind}(${syscall.args}): ${syscall.name}: ${syscall.errno}`;
}

function notRun(step: Step, code: ErrorCode, errno: string): string {
  if (step.kind !== 'exec' && step.kind !== 'exec_fd') throw new TypeError(`${step.kind} runs no command`);
  const argv0 = step.inputs.argv[0] ?? '';
  const problem = code === 'command-not-found' ? notFound(argv0, errno) : 'command cannot be executed';
  const tried =
    step.kind === 'exec' ? step.inputs.candidates.map((path) => quote(path)) : [slotText(step.inputs.fd as Slot)];
  return `${quote(argv0)}: ${problem}: execve(${tried.join(', ')}): ${errno}`;
}

/** execve(2) says ENOENT of a file that is there, too, when its interpreter is not: of a script, or of a program for another C library. */
function notFound(argv0: string, errno: string): string {
  if (!argv0.includes('/') || errno !== 'ENOENT') return 'command not found';
  return 'command not found, or the interpreter that it names (after #!, or its dynamic loader) is not there';
}
