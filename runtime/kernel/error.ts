/**
 * The one error of Tare. A `code` that stays the same for good (programs test it), a sentence for people, the cause,
 * and the system call where there was one. Exit codes are Docker's: 125 for Tare's own errors, 126 a command that cannot
 * be executed, 127 one that is not found.
 */
export type ErrorCode =
  | 'usage'
  | 'config' // config.json or front matter does not say what it must; `path` names the field
  | 'unsupported' // this kernel, or this version of Tare, cannot do what is asked
  | 'not-found'
  | 'exists'
  | 'state' // wrong order: start twice, exec in a stopped container
  | 'permission'
  | 'no-space'
  | 'system-call' // a system call failed; `syscall` says which
  | 'plan' // a plan is malformed, or a step of it failed
  | 'command-not-found' // exit code 127
  | 'command-not-executable' // exit code 126
  | 'protocol' // the other side (stage, agent, QEMU, registry) said what it must not
  | 'network' // another machine cannot be reached, is not trusted, or cannot answer now
  | 'timeout'
  | 'machine' // a virtual machine did not start, or died
  | 'busy' // a limit is reached: number of machines, memory
  | 'internal';

/** A failed system call, as strace shows it. */
export interface FailedCall {
  /** For example `mount`. */
  readonly name: string;
  /** The arguments, already formatted; for example `"proc", "/proc", "proc", 0xe, NULL`. */
  readonly args: string;
  /** The errno's name; for example `EPERM`. */
  readonly errno: string;
}

export class TareError extends Error {
  readonly code: ErrorCode;
  readonly syscall?: FailedCall;
  /** What is at fault, where there is a place: a file, or a JSON path such as `linux.namespaces[2].type`. */
  readonly path?: string;

  constructor(code: ErrorCode, message: string, more: { cause?: unknown; syscall?: FailedCall; path?: string } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'TareError';
    this.code = code;
    if (more.syscall) this.syscall = more.syscall;
    if (more.path !== undefined) this.path = more.path;
  }

  /**
   * By name and shape, not by class: the command line is bundled, so an exercise's check, which is not, has a TareError of its
   * own, and both are the same to whoever catches them.
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'TareError' && 'code' in value;
  }

  /** The exit code of a command that ends with this error. */
  get exitCode(): number {
    if (this.code === 'command-not-found') return 127;
    if (this.code === 'command-not-executable') return 126;
    return 125;
  }
}

/** Whether it is of a system call that failed with one of these. */
export function isErrno(error: unknown, ...errnos: readonly string[]): boolean {
  return error instanceof TareError && error.syscall !== undefined && errnos.includes(error.syscall.errno);
}

/** `mount("proc", "/proc"): EPERM`, as an error's text has it. */
export function formatCall(call: FailedCall): string {
  return `${call.name}(${call.args}): ${call.errno}`;
}
