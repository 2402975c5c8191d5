/**
 * A failed step as an error: the call as strace shows it, its errno, the config field that asked for it and why. A command
 * that is not there, or cannot be executed, gets the codes (and so the exit codes 127 and 126) that Docker gives it.
 */
import { errnoName, errnoNumber } from '../kernel/errno.js';
import { type ErrorCode, formatCall, TareError } from '../kernel/error.js';
import { SIGNALS } from '../kernel/signals.js';
import type { Slot, Step } from './plan.js';
import type { Report } from './reports.js';
import { quote, slotText, stepText } from './symbols.js';

/** What an error says of a step. Plain data: it is kept where the plan is not, for a container that somebody else will start. */
export interface StepDescription {
  readonly field: string;
  readonly why: string;
  readonly kind: string;
  /** The call, as strace shows it. */
  readonly name: string;
  readonly args: string;
  /** The program that it is to become, or to find. */
  readonly program?: { readonly argv0: string; readonly tried: readonly string[]; readonly call: string };
}

/** What an error would say of the step, should it fail. */
export function describeStep(step: Step): StepDescription {
  const program = programOf(step);
  return { kind: step.kind, field: step.field, why: step.why, ...stepText(step), ...(program && { program }) };
}

/** The error of a `failed` report. `cause` is what a call step's handler threw. */
export function stepFailure(step: Step, report: Report, cause?: unknown): TareError {
  return describedFailure(describeStep(step), report, cause);
}

/** The same, where only the step's description is left. */
export function describedFailure(step: StepDescription, report: Report, cause?: unknown): TareError {
  const errno = errnoName(report.error);
  const syscall = { name: withSignalName(report.name) || step.name, args: step.args, errno };
  const code = codeOf(step, errno);
  const path = step.field === 'default' || step.field === '' ? undefined : step.field;
  const why = [path, step.why].filter(Boolean).join(': ');
  const text = code === 'plan' || !step.program ? failedCall(step, syscall) : notRun(step.program, code, errno);
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

function codeOf(step: StepDescription, errno: string): ErrorCode {
  if (!step.program) return 'plan';
  if (errno === 'ENOENT' || errno === 'ENOTDIR') return 'command-not-found';
  return NOT_EXECUTABLE.has(errno) ? 'command-not-executable' : 'plan';
}

/** What stage says of a program that it ran. A filter kills with SIGSYS. */
function withSignalName(text: string): string {
  return text.replace(/\bkilled by signal (\d+)/, (whole, number: string) => {
    const name = SIGNALS[Number(number) - 1];
    return name === undefined ? whole : `killed by ${name}${name === 'SIGSYS' ? ' (bad system call)' : ''}`;
  });
}

/** A kind of several system calls (mkdir_in_root) reports which of them it was. */
function failedCall(step: StepDescription, syscall: { name: string; args: string; errno: string }): string {
  if (syscall.name === step.kind) return formatCall(syscall);
  return `${step.kind}(${syscall.args}): ${syscall.name}: ${syscall.errno}`;
}

function notRun(program: NonNullable<StepDescription['program']>, code: ErrorCode, errno: string): string {
  const { argv0, tried, call } = program;
  const problem = code === 'command-not-found' ? notFound(argv0, errno) : 'command cannot be executed';
  return `${quote(argv0)}: ${problem}: ${call}(${tried.join(', ')}): ${errno}`;
}

function programOf(step: Step): StepDescription['program'] {
  switch (step.kind) {
    case 'exec': {
      const tried = step.inputs.candidates.map((path) => quote(path));
      return { argv0: step.inputs.argv[0] ?? '', tried, call: 'execve' };
    }
    case 'exec_fd':
      return { argv0: step.inputs.argv[0] ?? '', tried: [slotText(step.inputs.fd as Slot)], call: 'execve' };
    case 'expect_program': {
      const [first = ''] = step.inputs.candidates;
      // Several candidates come of a bare name and PATH.
      const argv0 = step.inputs.candidates.length > 1 ? first.slice(first.lastIndexOf('/') + 1) : first;
      return { argv0, tried: step.inputs.candidates.map((path) => quote(path)), call: 'stat' };
    }
    default:
      return undefined;
  }
}

/** execve(2) says ENOENT of a file that is there, too, when its interpreter is not: of a script, or of a program for another C library. */
function notFound(argv0: string, errno: string): string {
  if (!argv0.includes('/') || errno !== 'ENOENT') return 'command not found';
  return 'command not found, or the interpreter that it names (after #!, or its dynamic loader) is not there';
}
