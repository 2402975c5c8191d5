/** How tasks are shown in a terminal: a mark, the prompt, and for one that is open what the kernel says. No colour where nobody looks. */

import { type Exercise, fillVars, type TaskState } from '../exercise/index.js';
import { visible } from '../inspect/index.js';

const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
const sgr = (code: number) => (text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);

/** SGR attributes (ECMA-48). */
export const paint = { bold: sgr(1), dim: sgr(2), red: sgr(31), green: sgr(32), yellow: sgr(33) };

/** The exercise with the values of an attempt in its texts. */
export function fillExercise(exercise: Exercise, vars: Readonly<Record<string, string>>): Exercise {
  const tasks = exercise.tasks.map((task) => ({ ...task, prompt: fillVars(task.prompt, vars) }));
  const [text, explanation] = [exercise.text, exercise.explanation].map((part) => fillVars(part, vars)) as [
    string,
    string,
  ];
  return { ...exercise, tasks, text, explanation };
}

/** Markdown as a terminal shows it: code blocks indented, the rest as it stands. */
export function plainText(markdown: string): string {
  return markdown.replace(/^```[^\n]*\n([\s\S]*?)\n```$/gm, (_, code: string) => code.replace(/^/gm, '    '));
}

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
  const lines: [string, string][] = [
    ['the kernel says', verdict.says],
    ['in', verdict.where],
    ['expected', verdict.expected],
  ];
  if (hint) lines.push(['hint', hint]);
  // What a machine says is whatever its learner made it say.
  return lines.map(([label, text]) => `      ${label.padEnd(15)}  ${visible(text)}`);
}
