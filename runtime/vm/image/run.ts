/**
 * Runs a program of the host for the image build: its errors become one sentence, and a full disk is told apart from the
 * rest, whoever notices it.
 */
import { spawn } from 'node:child_process';
import { TareError } from '../../kernel/error.js';

/** How much of a program's last words is kept for an error. */
const LAST_WORDS = 4096;

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Aborted, it is killed. */
  readonly signal?: AbortSignal;
  /** What an error calls it; the program's name unless told. */
  readonly name?: string;
  /** What is being made, for the error of a full disk; the machine's image unless told. */
  readonly making?: string;
  /** Called with each line of stderr. */
  readonly onLine?: (line: string) => void;
}

/**
 * A shell command line (pipes allowed, `pipefail` set), with its arguments as $1, $2 and so on. Returns stdout. Where root runs it,
 * it has a pid namespace of its own, so that nothing it started goes on when this process is killed.
 */
export function runShell(script: string, args: readonly string[], more: RunOptions = {}): Promise<string> {
  const options = { name: 'the build', ...more };
  const shell = ['bash', '-c', `set -euo pipefail; ${script}`, 'build', ...args];
  if (process.geteuid?.() !== 0) return run('bash', shell.slice(1), options);
  const namespace = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--'];
  return run('setpriv', ['--pdeathsig=KILL', '--', ...namespace, ...shell], options);
}

/** Runs a program to its end; stdout as text. Throws `not-found` when it is not installed, `no-space` on a full disk. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.env,
      cwd: options.cwd,
      signal: options.signal,
      killSignal: 'SIGKILL',
    });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-LAST_WORDS);
      for (const line of text.split('\n')) if (line) options.onLine?.(line);
    });
    child.on('error', (cause: NodeJS.ErrnoException) =>
      reject(
        options.signal?.aborted
          ? options.signal.reason
          : cause.code === 'ENOENT'
            ? new TareError('not-found', `${program} is not installed`, { cause, path: program })
            : new TareError('machine', `${program} could not be started: ${cause.message}`, { cause }),
      ),
    );
    child.on('close', (status, signal) => {
      if (status === 0) resolve(output);
      else reject(failure(options.name ?? program, status ?? signal, errors, options.making));
    });
  });
}

function failure(
  program: string,
  status: number | string | null,
  errors: string,
  making = 'the machine’s image',
): TareError {
  if (/no space left on device/i.test(errors))
    return new TareError('no-space', `the disk became full while ${making} was built`);
  const missing = /(?:^|: )([\w-]+): command not found/m.exec(errors);
  if (missing) return new TareError('not-found', `${missing[1]} is not installed`);
  const lines = errors.trim().split('\n');
  // The first of apt's is the reason for the others.
  const first = lines.find((line) => line.startsWith('E: '));
  const said =
    first ??
    lines
      .filter((line) => /error|fail|cannot|unable/i.test(line))
      .slice(-2)
      .join('; ');
  return new TareError('machine', `${program} failed (${status})${said ? `: ${said}` : ''}`, {
    cause: new Error(errors),
  });
}

/** Turns ENOSPC of Node's own file operations into the same error. */
export function asSpaceError(error: unknown): unknown {
  if ((error as NodeJS.ErrnoException | null)?.code !== 'ENOSPC') return error;
  return new TareError('no-space', 'the disk became full while the machine’s image was built', { cause: error });
}
