/**
 * Where the learner's exercise lies: at most one attempt, what the page sees of it, and what of it counts as progress. The
 * desk holds no machine; whoever takes the machine away clears the desk first.
 */
import type { Attempt, Exercise, TaskState } from '../../runtime/exercise/types.js';
import { TareError } from '../../runtime/kernel/error.js';
import type { Machine } from '../../runtime/vm/machine.js';
import type { AttemptView, ServerMessage, TaskView } from '../protocol.js';
import type { Library } from './library.js';
import type { Progress } from './progress.js';

export class Desk {
  #attempt: Attempt | undefined;
  #view: AttemptView | undefined;
  #checking: Promise<readonly TaskState[]> | undefined;

  constructor(
    private readonly library: Library,
    private readonly progress: Progress,
    private readonly post: (message: ServerMessage) => void,
  ) {}

  get view(): AttemptView | undefined {
    return this.#view;
  }

  /** Shows that an exercise is coming. */
  prepare(exercise: Exercise, chapter: string): void {
    this.#show({ exercise: exercise.id, chapter, state: 'preparing', text: exercise.text, tasks: [] });
  }

  /** Sets the exercise up in the machine and watches it; `wanted` says whether it still is when it is set up. */
  async begin(exercise: Exercise, chapter: string, machine: Machine, wanted: () => boolean): Promise<void> {
    const attempt = await this.library.begin(exercise, machine);
    if (!wanted() || this.#view?.state !== 'preparing') {
      attempt.close();
      return;
    }
    this.#attempt = attempt;
    const tasks = this.#withPrompts(exercise.tasks.map(({ id }) => ({ id, state: 'waiting' })));
    this.#show({ exercise: exercise.id, chapter, state: 'running', text: attempt.text, tasks });
    attempt.watch((tasks) => this.#report(attempt, tasks));
    // The watch tells of changes only.
    await this.check();
  }

  /** The attempt that is under way. @throws TareError `state` when there is none. */
  get attempt(): Attempt {
    if (!this.#attempt) throw new TareError('state', 'No exercise is running: start it first.');
    return this.#attempt;
  }

  /** Checks now; whoever asks while one is under way gets that one. */
  async check(): Promise<void> {
    const { attempt } = this;
    const checking = this.#checking ?? attempt.check();
    this.#checking = checking;
    try {
      this.#report(attempt, await checking);
    } finally {
      if (this.#checking === checking) this.#checking = undefined;
    }
  }

  clear(): void {
    this.#attempt?.close();
    this.#attempt = undefined;
    this.#checking = undefined;
    if (this.#view) this.#show(undefined);
  }

  #report(attempt: Attempt, tasks: readonly TaskState[]): void {
    const view = this.#view;
    if (this.#attempt !== attempt || !view) return;
    const done = tasks.filter(({ state }) => state === 'done').map(({ id }) => id);
    const all = tasks.length > 0 && done.length === tasks.length;
    this.progress.recordTasks(view.exercise, done, all);
    // Once all was done the explanation stays, whatever the learner tries next in the machine.
    const finished = all || view.state === 'done';
    this.#show({
      ...view,
      state: finished ? 'done' : 'running',
      tasks: this.#withPrompts(tasks),
      explanation: finished ? this.library.fill(attempt.exercise.explanation, attempt.vars) : undefined,
    });
  }

  #withPrompts(tasks: readonly TaskState[]): TaskView[] {
    const { exercise, vars } = this.attempt;
    return tasks.map((task) => {
      const prompt = exercise.tasks.find(({ id }) => id === task.id)?.prompt ?? '';
      return { ...task, prompt: this.library.fill(prompt, vars) };
    });
  }

  #show(view: AttemptView | undefined): void {
    this.#view = view;
    this.post({ type: 'attempt', attempt: view });
  }
}
