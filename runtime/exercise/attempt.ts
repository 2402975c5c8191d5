/**
 * One learner at one exercise in one machine: draws the vars, runs setup.sh, and from then on says for each task whether the
 * kernel's state is what it should be. Checks run when the machine reports activity and every 500 ms besides, one run at a
 * time. An attempt does not own its machine: a reset is a new attempt in a fresh machine.
 */
import { join } from 'node:path';
import { TareError } from '../kernel/error.js';
import type { Machine, Terminal } from '../vm/machine.js';
import { cachedSource } from './cached.js';
import { missingFeatures } from './features.js';
import { drawVars, fillVars, type Vars } from './fill.js';
import { loadChecks, readScript } from './load.js';
import { isGone, no } from './probes.js';
import { nextStates } from './tasks.js';
import type { Attempt, Check, Checks, Exercise, Probe, TaskState, Verdict } from './types.js';
import { typeScript } from './typing.js';

/** Longest time between two runs of the checks while somebody watches, in milliseconds. */
const INTERVAL_MS = 500;
/** A check may itself start a process (Probe.readInside); the activity that makes must not start the next run at once. */
const REST_MS = 40;
const SETUP_MS = 120_000;

export interface AttemptOptions {
  /** Values for the vars instead of drawn ones: the same state again. */
  readonly vars?: Vars;
}

/**
 * Prepares the machine and begins. A machine that lacks a feature gives an attempt whose tasks are all blocked.
 *
 * @throws TareError `config` for a broken exercise, `machine` when setup.sh fails or the machine goes away.
 */
export async function startAttempt(
  exercise: Exercise,
  machine: Machine,
  options: AttemptOptions = {},
): Promise<Attempt> {
  const vars = options.vars ?? drawVars(exercise.vars);
  const checks = await loadChecks(exercise);
  const missing = await missingFeatures(machine, exercise.env);
  const attempt = new RunningAttempt(exercise, machine, vars, checks, missing);
  if (missing.length === 0) await setUp(exercise, machine, vars);
  await attempt.check(); // notes the facts of the start, before the learner changes any
  return attempt;
}

class RunningAttempt implements Attempt {
  readonly text: string;
  readonly #memory = new Map<string, unknown>();
  readonly #watchers = new Set<(tasks: readonly TaskState[]) => void>();
  readonly #terminals: Terminal[] = [];
  #states: readonly TaskState[];
  #probe: Probe | undefined;
  #running: Promise<readonly TaskState[]> | undefined;
  #stopWatching: (() => void) | undefined;
  #closed = false;

  constructor(
    readonly exercise: Exercise,
    readonly machine: Machine,
    readonly vars: Vars,
    private readonly checks: Checks,
    private readonly missing: readonly string[],
  ) {
    this.text = fillVars(exercise.text, vars);
    this.#states = exercise.tasks.map((task) => ({ id: task.id, state: task.needs.length > 0 ? 'waiting' : 'open' }));
  }

  /** Whoever asks while a run is under way gets the run after it: the change that made him ask may have come too late for this one. */
  async check(): Promise<readonly TaskState[]> {
    this.#refuseClosed();
    while (this.#running) await this.#running.catch(() => undefined);
    this.#running = this.#run();
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  watch(listener: (tasks: readonly TaskState[]) => void): () => void {
    this.#refuseClosed();
    this.#watchers.add(listener);
    this.#stopWatching ??= this.#watchMachine();
    return () => {
      this.#watchers.delete(listener);
      if (this.#watchers.size > 0) return;
      this.#stopWatching?.();
      this.#stopWatching = undefined;
    };
  }

  async solution(): Promise<string> {
    return fillVars(await readScript(this.exercise, 'solution.sh'), this.vars);
  }

  async solve(terminal?: Terminal): Promise<void> {
    this.#refuseClosed();
    let target = terminal;
    if (!target) {
      target = await this.machine.openTerminal({ columns: 100, rows: 30 });
      this.#terminals.push(target);
    }
    await typeScript(target, await this.solution());
  }

  close(): void {
    this.#closed = true;
    this.#watchers.clear();
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    for (const terminal of this.#terminals.splice(0)) terminal.close();
  }

  async #run(): Promise<readonly TaskState[]> {
    const before = this.#states;
    this.#states = await nextStates(this.exercise.tasks, before, {
      missing: this.missing,
      verdict: (id) => this.#verdict(this.checks[id] as Check),
      hint: (text) => fillVars(text, this.vars),
      fresh: () => this.#look(),
    });
    if (!this.#closed && JSON.stringify(before) !== JSON.stringify(this.#states)) {
      for (const listener of [...this.#watchers]) listener(this.#states);
    }
    return this.#states;
  }

  /** A new look at the machine: what was read before no longer counts. Says what hides the machine, if anything does. */
  async #look(): Promise<Verdict | undefined> {
    const proc = cachedSource(this.machine);
    this.#probe = {
      proc,
      vars: this.vars,
      memory: this.#memory,
      readInside: (pid, namespace, path) => readInside(this.machine, pid, namespace, path),
    };
    try {
      await proc.readlink('/proc/self');
      return undefined;
    } catch (error) {
      if (!isGone(error)) throw error;
      return no(
        'proc-hidden',
        'the link /proc/self leads nowhere',
        '/proc/self, as a process of the machine sees it',
        'the machine’s own proc at /proc: another pid namespace’s was mounted over it',
      );
    }
  }

  /** A process may end between two reads of a check: then look again, and only then say so. */
  async #verdict(check: Check): Promise<Verdict> {
    for (let tries = 0; tries < 3; tries++) {
      try {
        return await check(this.#probe as Probe);
      } catch (error) {
        if (!isGone(error)) return failedCheck(error);
        await this.#look();
      }
    }
    return no('vanished', 'processes came and went while they were looked at', '/proc', 'a state that lasts');
  }

  #watchMachine(): () => void {
    let timer: NodeJS.Timeout | undefined;
    let again = false;
    let busy = false;
    let stopped = false;
    const run = async (): Promise<void> => {
      clearTimeout(timer);
      if (busy || stopped) {
        again = busy;
        return;
      }
      busy = true;
      again = false;
      try {
        await this.check();
        await new Promise((resolve) => setTimeout(resolve, REST_MS));
      } catch (error) {
        // A machine that is gone ends the watch, below; one that was too slow for once is asked again.
        if (!(error instanceof TareError)) process.emitWarning(error as Error);
      } finally {
        busy = false;
      }
      if (!stopped) timer = setTimeout(run, again ? 0 : INTERVAL_MS);
    };
    const undo = this.machine.onActivity(() => void run());
    void this.machine.ended.then(() => {
      stopped = true;
    });
    timer = setTimeout(run, 0);
    return () => {
      stopped = true;
      clearTimeout(timer);
      undo();
    };
  }

  #refuseClosed(): void {
    if (this.#closed) throw new TareError('state', `the attempt at ${this.exercise.id} is closed`);
  }
}

/**
 * What is not the check's to judge goes up: a machine that has ended, or does not answer. Anything else is this one task's
 * trouble (a file that cannot be read, a mistake in the check), and must not end the attempt.
 */
function failedCheck(error: unknown): Verdict {
  if (error instanceof TareError && (error.code === 'machine' || error.code === 'timeout')) throw error;
  const says = error instanceof Error ? error.message : String(error);
  return no('unreadable', says, 'the check itself', 'an answer, one way or the other');
}

async function setUp(exercise: Exercise, machine: Machine, vars: Vars): Promise<void> {
  const script = fillVars(await readScript(exercise, 'setup.sh'), vars);
  const { status, stderr } = await machine.exec(['/bin/bash', '-euo', 'pipefail', '-c', script], {
    cwd: '/root',
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8' },
    timeoutMs: SETUP_MS,
  });
  if (status === 0) return;
  const why = stderr.toString('utf8').trim().split('\n').at(-1) ?? '';
  throw new TareError(
    'machine',
    `the exercise ${exercise.id} could not be set up: setup.sh ended with ${status}: ${why}`,
    {
      path: join(exercise.folder, 'setup.sh'),
    },
  );
}

/** nsenter(1) joins only the one namespace, so the program and the path are the machine's own. */
async function readInside(machine: Machine, pid: number, namespace: string, path: string): Promise<string | undefined> {
  const argv = ['/usr/bin/nsenter', '--target', String(pid), `--${namespace}`, '/usr/bin/cat', path];
  const { status, stdout } = await machine.exec(argv, { timeoutMs: 10_000, maxOutput: 65_536 });
  return status === 0 ? stdout.toString('utf8').trim() : undefined;
}
