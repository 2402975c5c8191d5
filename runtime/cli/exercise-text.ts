/** How tasks are shown in a terminal: a mark, the prompt, and for one that is open what the kernel says. No colour where nobody looks. */
import type { Exercise, TaskState } from '../exercise/index.js';

const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
const sgr = (code: number) => (text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);

/** SGR attributes (ECMA-48). */
export const paint = { bold: sgr(1), dim: sgr(2), red: sgr(31), green: sgr(32), yellow: sgr(33) };

/** All tasks, the hint and the verdict with each that is open. */
export function formatTasks(exercise: Exercise, states: readonly TaskState[]): string {
  return exercise.tasks
    .map((task) => {
      const state = states.find((one) => one.id === task.id) ?? { id: task.id, state: 'waiting' as const };
      return [formatState(state, task.prompt), ...formatVerdict(state)].join('\n');
    })
    .join('\n');
}

/** One line: what became of a task. */
export function formatState({ state }: TaskState, prompt: string): string {
  if (state === 'done') return formatTask(true, prompt);
  if (state === 'blocked') return `${paint.red('blocked')} ${prompt}`;
  return state === 'waiting' ? paint.dim(`  · ${prompt}`) : `${paint.yellow('  ○')} ${prompt}`;
}

export function formatTask(good: boolean, text: string): string {
  return good ? `${paint.green('  ✓')} ${text}` : `${paint.red('  ✗')} ${text}`;
}

function formatVerdict({ verdict, hint }: TaskState): string[] {
  if (!verdict || verdict.ok) return [];
  const lines = [`      the kernel says  ${verdict.says}`, `      in               ${verdict.where}`];
  lines.push(`      expected         ${verdict.expected}`);
  if (hint) lines.push(`      hint             ${hint}`);
  return lines;
}
