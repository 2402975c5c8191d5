/**
 * Hooks that run in the namespaces of the runtime: programs of the host, each with the state of the container on its standard input. The
 * ones before the start fail the container when they fail; of the others a failure is a warning, and the rest still run.
 * config.md#posix-platform-hooks, runtime.md#lifecycle
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { type Config, type Hook, type HookName, OCI_VERSION, type OciState, type Status } from '../oci/index.js';
import type { StoredState } from './stored-state.js';

type Stored = Pick<StoredState, 'id' | 'bundle' | 'annotations' | 'init'>;

/** What hooks are run for. */
export interface Hooked {
  readonly state: Stored;
  readonly config: Config;
}

/**
 * prestart and createRuntime.
 * @param onProcess called with the pid of each, which must go if this process is killed meanwhile
 * @throws TareError `plan` for the first that fails
 */
export async function runRuntimeHooks(hooked: Hooked, onProcess: (pid: number) => void): Promise<undefined> {
  for (const name of ['prestart', 'createRuntime'] as const) {
    const text = stateText(hooked.state, 'creating', hooked.state.init?.pid);
    for (const [i, hook] of hooksOf(hooked, name).entries())
      await runHook(hook, `hooks.${name}[${i}]`, text, hooked.state, onProcess);
  }
}

/** poststart and poststop. Never throws for a hook: each that fails is a warning. */
export async function runLateHooks(
  name: 'poststart' | 'poststop',
  hooked: Hooked,
  onWarning: (sentence: string) => void = () => undefined,
): Promise<void> {
  const text =
    name === 'poststart'
      ? stateText(hooked.state, 'running', hooked.state.init?.pid)
      : stateText(hooked.state, 'stopped', undefined);
  for (const [i, hook] of hooksOf(hooked, name).entries()) {
    try {
      await runHook(hook, `hooks.${name}[${i}]`, text, hooked.state);
    } catch (error) {
      if (!(error instanceof TareError)) throw error;
      onWarning(error.message);
    }
  }
}

/** A sealed memory file with the state, for hooks that stage runs inside. The caller closes it. */
export function hookState({ state }: Hooked, status: Status): number {
  return native.sealedMemfd(
    'tare-state',
    Buffer.from(stateText(state, status, state.init && pidInside(state.init.pid))),
  );
}

function hooksOf({ config }: Hooked, name: HookName): readonly Hook[] {
  return config.hooks?.[name] ?? [];
}

function stateText({ id, bundle, annotations }: Stored, status: Status, pid: number | undefined): string {
  const state: OciState = { ociVersion: OCI_VERSION, id, status, ...(pid !== undefined && { pid }), bundle };
  return JSON.stringify({ ...state, ...(annotations && { annotations }) });
}

/** The number that a process has in its own pid namespace: the last of NSpid. proc_pid_status(5) */
function pidInside(pid: number): number {
  const numbers = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(numbers?.split(/\s+/).at(-1) ?? pid);
}

/** Of what a hook writes, so much of the end is in the error. */
const MOST_OUTPUT = 2048;

/**
 * Never through a shell: the program is the path, and gets the arguments and the environment that are given, and no other. Where none is
 * given it has the runtime's, as with runc and crun: hooks that engines are installed with (of GPU drivers) find their programs by its PATH.
 */
async function runHook(
  hook: Hook,
  field: string,
  state: string,
  { bundle }: Stored,
  onProcess?: (pid: number) => void,
): Promise<void> {
  const { path, timeout } = hook;
  const child = start(hook, field, bundle);
  if (child.pid !== undefined) onProcess?.(child.pid);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-MOST_OUTPUT);
    });
  }
  // A hook need not read its input.
  child.stdin.on('error', () => child.stdin.destroy()).end(state);
  return new Promise((resolve, reject) => {
    const fail = (what: string, cause?: unknown) => reject(failure(field, path, `${what}${said(output)}`, cause));
    let late = false;
    const timer =
      timeout === undefined
        ? undefined
        : setTimeout(
            () => {
              late = true;
              child.kill('SIGKILL');
            },
            Math.min(timeout * 1000, LONGEST_TIMER),
          );
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(cannotRun(field, path, error));
    });
    // Not its last output's end: what it leaves behind may keep that open.
    child.on('exit', async (code, signal) => {
      clearTimeout(timer);
      if (code === 0) leave(child);
      else await outputEnd(child);
      if (late) fail(`was killed: it took longer than its timeout of ${timeout} s`);
      else if (signal !== null) fail(`was killed by ${signal}`);
      else if (code !== 0) fail(`ended with status ${code}`);
      else resolve();
    });
  });
}

function start({ path, args, env }: Hook, field: string, bundle: string): ChildProcessWithoutNullStreams {
  const [argv0, ...rest] = args && args.length > 0 ? (args as [string, ...string[]]) : [path];
  try {
    return spawn(path, rest, { argv0, env: env ? environment(env) : process.env, cwd: bundle, stdio: 'pipe' });
  } catch (error) {
    // What Node does not tell by an event: ENOTDIR, ELOOP, E2BIG.
    throw cannotRun(field, path, error as Error);
  }
}

function cannotRun(field: string, path: string, error: NodeJS.ErrnoException): TareError {
  return failure(field, path, `cannot be run: ${error.code ?? error.message}`, error);
}

function failure(field: string, path: string, what: string, cause?: unknown): TareError {
  return new TareError('plan', `${field}: the hook ${path} ${what}`, { cause, path: field });
}

/** What setTimeout can wait for, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

function environment(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) => {
      const end = entry.indexOf('=');
      return end < 0 ? [entry, ''] : [entry.slice(0, end), entry.slice(end + 1)];
    }),
  );
}

/** What lies in the pipes is read; who still holds them is not waited for. */
function outputEnd(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, 100);
    child.once('close', done);
    function done() {
      clearTimeout(timer);
      leave(child);
      resolve();
    }
  });
}

function leave({ stdout, stderr, stdin }: ChildProcess): void {
  for (const stream of [stdout, stderr, stdin]) stream?.destroy();
}

function said(output: string): string {
  const text = output.trim();
  return text && `: ${text}`;
}
