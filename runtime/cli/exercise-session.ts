/**
 * An attempt in the foreground: a machine, the exercise in it, and our terminal passed through to a shell there. Between the
 * shell's lines it says when a task is done. It ends when the shell ends, or, without a terminal of ours, on SIGINT or SIGTERM.
 */
import { type Attempt, type Exercise, fillVars, startAttempt, type TaskState } from '../exercise/index.js';
import { TareError } from '../kernel/error.js';
import { createProvider, type Machine, type MachineProvider, type Terminal } from '../vm/index.js';
import { type Answer, type Request, serveAttempt } from './exercise-socket.js';
import { formatState, formatTasks, paint } from './exercise-text.js';

/** Runs it to its end. Resolves with what became of the tasks; the machine and the socket are gone by then. */
export async function runAttempt(exercise: Exercise): Promise<readonly TaskState[]> {
  const session = new Session(exercise);
  const stopServing = await serveAttempt(exercise.id, (request) => session.answer(request));
  try {
    await session.begin();
    await session.over;
    return session.states;
  } finally {
    await stopServing();
    await session.close();
  }
}

class Session {
  states: readonly TaskState[] = [];
  readonly over: Promise<void>;
  #finish: () => void = () => undefined;
  #fail: (error: TareError) => void = () => undefined;
  #provider: MachineProvider | undefined;
  #machine: Machine | undefined;
  #attempt: Attempt | undefined;
  #terminal: Terminal | undefined;
  readonly #undo: (() => void)[] = [];

  constructor(private readonly exercise: Exercise) {
    this.over = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.over.catch(() => undefined); // whoever waits for it is told; before that nobody is
  }

  async begin(): Promise<void> {
    this.#provider ??= await createProvider({ onProgress: (sentence) => this.#say(paint.dim(sentence)) });
    const machine = await this.#provider.create();
    this.#machine = machine;
    void machine.ended.then(({ message }) => {
      if (this.#machine === machine) this.#fail(new TareError('machine', message));
    });
    const attempt = await startAttempt(this.exercise, machine);
    this.#attempt = attempt;
    this.states = await attempt.check();
    this.#say(
      `\n${paint.bold(this.exercise.title)}\n\n${attempt.text}\n\n${formatTasks(this.#filled(attempt), this.states)}\n`,
    );
    if (this.states.every((task) => task.state === 'blocked')) {
      this.#finish();
      return;
    }
    await this.#openTerminal(machine);
    attempt.watch((states) => this.#report(attempt, states));
  }

  async answer(request: Request): Promise<Answer> {
    if (request === 'reset') {
      await this.#endMachine();
      await this.begin();
    }
    const attempt = this.#attempt;
    if (!attempt) throw new TareError('state', `the exercise ${this.exercise.id} is still being set up`);
    if (request === 'solve') await attempt.solve(this.#terminal);
    const tasks = await attempt.check();
    const solution = request === 'solve' ? await attempt.solution() : undefined;
    return { exercise: this.exercise.id, vars: attempt.vars, tasks, solution };
  }

  async close(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse()) undo();
    await this.#endMachine();
    await this.#provider?.close();
  }

  async #endMachine(): Promise<void> {
    const machine = this.#machine;
    this.#machine = undefined;
    this.#terminal = undefined;
    this.#attempt?.close();
    this.#attempt = undefined;
    await machine?.close();
  }

  #report(attempt: Attempt, states: readonly TaskState[]): void {
    const before = this.states;
    this.states = states;
    for (const task of this.#filled(attempt).tasks) {
      const [was, is] = [before, states].map((list) => list.find((state) => state.id === task.id));
      if (is && was?.state !== is.state && (is.state === 'done' || was?.state === 'done')) {
        this.#say(formatState(is, task.prompt));
      }
    }
    if (states.every((task) => task.state === 'done')) this.#say(paint.green('  All done. Leave with "exit".'));
  }

  async #openTerminal(machine: Machine): Promise<void> {
    const { stdin, stdout } = process;
    const terminal = await machine.openTerminal({ columns: stdout.columns ?? 100, rows: stdout.rows ?? 30 });
    this.#terminal = terminal;
    void terminal.exited.then(() => {
      if (this.#terminal === terminal) this.#finish();
    });
    const interactive = stdin.isTTY === true && stdout.isTTY === true;
    if (interactive) {
      terminal.onData((data) => {
        if (!stdout.write(data)) terminal.pause();
      });
    }
    if (this.#undo.length === 0) this.#attach(interactive);
  }

  /** Once for all machines of the session: what is typed goes to the terminal that is there then. */
  #attach(interactive: boolean): void {
    const { stdin, stdout } = process;
    const type = (data: Buffer) => this.#terminal?.write(data);
    const resize = () => this.#terminal?.resize(stdout.columns, stdout.rows);
    const resume = () => this.#terminal?.resume();
    const finish = () => this.#finish();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, finish);
    this.#undo.push(() => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, finish);
    });
    if (!interactive) return;
    stdin.setRawMode(true);
    stdin.on('data', type);
    stdout.on('resize', resize);
    stdout.on('drain', resume);
    this.#undo.push(() => {
      stdin.setRawMode(false);
      stdin.off('data', type);
      stdin.pause();
      stdout.off('resize', resize);
      stdout.off('drain', resume);
    });
  }

  #filled(attempt: Attempt): Exercise {
    const tasks = this.exercise.tasks.map((task) => ({ ...task, prompt: fillVars(task.prompt, attempt.vars) }));
    return { ...this.exercise, tasks };
  }

  /** In raw mode a line begins where the last one ended unless it is sent back to the left. */
  #say(text: string): void {
    const raw = process.stdin.isTTY && process.stdin.isRaw;
    process.stdout.write(raw ? `\r\n${text.replace(/\n/g, '\r\n')}\r\n` : `${text}\n`);
  }
}
