/**
 * An attempt in the foreground: a machine, the exercise in it, and our terminal passed through to a shell there. Between the
 * shell's lines it says when a task is done. It ends when the shell ends, or, without a terminal of ours, on SIGINT or SIGTERM.
 */
import { type Attempt, type Exercise, startAttempt, type TaskState } from '../exercise/index.js';
import { TareError } from '../kernel/error.js';
import { createProvider, type Machine, type MachineProvider, type Terminal } from '../vm/index.js';
import { type Answer, type Request, serveAttempt } from './exercise-socket.js';
import { fillExercise, formatState, formatTasks, paint, plainText } from './exercise-text.js';

export interface Ended {
  /** With the attempt's vars filled in. */
  readonly exercise: Exercise;
  readonly states: readonly TaskState[];
}

const isSolved = (states: readonly TaskState[]) => states.every((task) => task.state === 'done');

/** Runs it to its end. Resolves with what became of the tasks; the machine and the socket are gone by then. */
export async function runAttempt(exercise: Exercise): Promise<Ended> {
  const session = new Session(exercise);
  const stopServing = await serveAttempt(exercise.id, (request) => session.answer(request));
  try {
    const begun = session.begin();
    begun.catch(() => undefined); // told by the race, or of no interest once the session is over
    await Promise.race([begun, session.over]);
    await session.over;
    return { exercise: session.filled ?? exercise, states: session.solved ?? session.states };
  } finally {
    await stopServing();
    await session.close();
  }
}

/** They end the session, and with it the machine. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

class Session {
  states: readonly TaskState[] = [];
  /** When all was done: leaving may undo it (the shell that was looked at ends), and it has been done nevertheless. */
  solved: readonly TaskState[] | undefined;
  /** The exercise with the vars of the latest attempt. */
  filled: Exercise | undefined;
  readonly over: Promise<void>;
  #finish: () => void = () => undefined;
  #fail: (error: TareError) => void = () => undefined;
  #provider: MachineProvider | undefined;
  #machine: Machine | undefined;
  #attempt: Attempt | undefined;
  #terminal: Terminal | undefined;
  #closed = false;
  #attached = false;
  readonly #undo: (() => void)[] = [];

  constructor(private readonly exercise: Exercise) {
    this.over = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    this.over.catch(() => undefined); // whoever waits for it is told; before that nobody is
    const finish = () => this.#finish();
    for (const signal of SIGNALS) process.on(signal, finish);
    this.#undo.push(() => {
      for (const signal of SIGNALS) process.off(signal, finish);
    });
  }

  async begin(): Promise<void> {
    const provider =
      this.#provider ?? (await createProvider({ onProgress: (sentence) => this.#say(paint.dim(sentence)) }));
    this.#provider = provider;
    if (this.#closed) return provider.close(); // somebody had enough while the image was built
    const machine = await provider.create();
    this.#machine = machine;
    void machine.ended.then(({ message }) => {
      if (this.#machine === machine) this.#fail(new TareError('machine', message));
    });
    const attempt = await startAttempt(this.exercise, machine);
    this.#attempt = attempt;
    const filled = fillExercise(this.exercise, attempt.vars);
    this.filled = filled;
    this.states = await attempt.check();
    this.#say(
      `\n${paint.bold(this.exercise.title)}\n\n${plainText(filled.text)}\n\n${formatTasks(filled, this.states)}\n`,
    );
    if (this.states.every((task) => task.state === 'blocked')) {
      this.#finish();
      return;
    }
    await this.#openTerminal(machine);
    attempt.watch((states) => this.#report(filled, states));
  }

  async answer(request: Request): Promise<Answer> {
    if (request === 'reset') {
      this.solved = undefined;
      await this.#endMachine();
      await this.begin();
    }
    const attempt = this.#attempt;
    if (!attempt) throw new TareError('state', `the exercise ${this.exercise.id} is still being set up`);
    if (request === 'solve') await attempt.solve(this.#terminal);
    const tasks = await attempt.check();
    if (isSolved(tasks)) this.solved = tasks;
    const solution = request === 'solve' ? await attempt.solution() : undefined;
    return { exercise: this.exercise.id, vars: attempt.vars, tasks, solution };
  }

  async close(): Promise<void> {
    this.#closed = true;
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

  #report(filled: Exercise, states: readonly TaskState[]): void {
    const before = this.states;
    this.states = states;
    for (const task of filled.tasks) {
      const [was, is] = [before, states].map((list) => list.find((state) => state.id === task.id));
      if (is && was?.state !== is.state && (is.state === 'done' || was?.state === 'done')) {
        this.#say(formatState(is, task.prompt));
      }
    }
    if (!isSolved(states)) return;
    this.solved = states;
    this.#say(paint.green('  All done. Leave with "exit".'));
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
    if (interactive && !this.#attached) this.#attach();
  }

  /** Once for all machines of the session: what is typed goes to the terminal that is there then. */
  #attach(): void {
    this.#attached = true;
    const { stdin, stdout } = process;
    const type = (data: Buffer) => this.#terminal?.write(data);
    const resize = () => this.#terminal?.resize(stdout.columns, stdout.rows);
    const resume = () => this.#terminal?.resume();
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

  /** In raw mode a line begins where the last one ended unless it is sent back to the left. */
  #say(text: string): void {
    const raw = process.stdin.isTTY && process.stdin.isRaw;
    process.stdout.write(raw ? `\r\n${text.replace(/\n/g, '\r\n')}\r\n` : `${text}\n`);
  }
}
