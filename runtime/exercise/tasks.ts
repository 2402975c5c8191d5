/**
 * The rules of tasks, apart from any machine. A task waits until those it needs are done. An `edge` task stays done once its
 * state has been seen; a `level` task is done only while its state holds. A machine that lacks a feature blocks all.
 */
import type { Task, TaskState, Verdict } from './types.js';

/** Hints for the faults that any exercise may meet. */
const COMMON_HINTS: Readonly<Record<string, string>> = {
  'proc-hidden':
    'You mounted a proc file system of another pid namespace on the machine’s own /proc. Type `umount /proc` in a shell of the machine, and mount it in a mount namespace of its own.',
};

export interface Look {
  /** Why the machine cannot serve; empty when it can. */
  readonly missing: readonly string[];
  /** Forgets what was read before. Returns what makes it impossible to look, if anything does. */
  fresh(): Promise<Verdict | undefined>;
  verdict(task: string): Promise<Verdict>;
  /** Fills in vars. */
  hint(text: string): string;
}

/** The states after one run of the checks. */
export async function nextStates(
  tasks: readonly Task[],
  before: readonly TaskState[],
  look: Look,
): Promise<readonly TaskState[]> {
  if (look.missing.length > 0) return tasks.map((task) => blocked(task, look.missing));
  const hidden = await look.fresh();
  const states: TaskState[] = [];
  for (const task of tasks) {
    const last = before.find((state) => state.id === task.id);
    if (task.mode === 'edge' && last?.state === 'done') {
      states.push(last);
    } else if (task.needs.some((id) => states.find((state) => state.id === id)?.state !== 'done')) {
      states.push({ id: task.id, state: 'waiting' });
    } else {
      states.push(judged(task, hidden ?? (await look.verdict(task.id)), look));
    }
  }
  return states;
}

/** Whether the exercise is solved. */
export function allDone(states: readonly TaskState[]): boolean {
  return states.length > 0 && states.every((state) => state.state === 'done');
}

function judged(task: Task, verdict: Verdict, look: Look): TaskState {
  if (verdict.ok) return { id: task.id, state: 'done', verdict };
  const own = task.hints.find((hint) => hint.when === verdict.fault)?.text;
  const text = own ?? COMMON_HINTS[verdict.fault];
  return { id: task.id, state: 'open', verdict, ...(text ? { hint: look.hint(text) } : {}) };
}

function blocked(task: Task, missing: readonly string[]): TaskState {
  const verdict: Verdict = {
    ok: false,
    fault: 'blocked',
    says: missing.join('; '),
    where: 'the machine',
    expected: 'a machine that can serve this exercise',
  };
  return { id: task.id, state: 'blocked', verdict };
}
