/**
 * `tare exercise ...`: the exercises without a browser, in the same machines. `start` boots one, gives you a terminal in
 * it and says when a task is done; `check`, `solve` and `reset` talk to the attempt that runs, from another terminal.
 */
import { Command } from 'commander';
import { allDone, listChapters, listExercises, loadExercise, proofsOf } from '../exercise/index.js';
import { TareError } from '../kernel/error.js';
import { createProvider } from '../vm/index.js';
import { runAttempt } from './exercise-session.js';
import { type Answer, askAttempt, type Request } from './exercise-socket.js';
import { fillExercise, formatTask, formatTasks, paint, plainText } from './exercise-text.js';
import { print } from './print.js';

export function exerciseCommand(): Command {
  const exercise = new Command('exercise').description('List, start, check and solve exercises').addHelpText(
    'after',
    `
Examples:
  tare exercise list
  tare exercise start own-root      boots a machine and opens a terminal in it; leave with "exit"
  tare exercise check               in another terminal: what is done, and what the kernel says
  tare exercise solve               types the solution into the machine's terminal`,
  );
  exercise.command('list').description('The exercises, by chapter').option('--json', 'for machines').action(list);
  exercise
    .command('start')
    .description('Begin an exercise in a machine of its own')
    .argument('<id>', 'as "tare exercise list" shows it')
    .action(start);
  const which = 'needed only when several attempts run';
  exercise.command('check').description('Look at the tasks now').argument('[id]', which).action(check);
  exercise.command('solve').description('Run the solution').argument('[id]', which).action(solve);
  exercise.command('reset').description('Begin again in a fresh machine').argument('[id]', which).action(reset);
  exercise
    .command('prove')
    .description('For authors: try the start, the solution and every wrong answer')
    .argument('[id]', 'all exercises unless told')
    .action(prove);
  return exercise;
}

async function list({ json }: { json?: boolean }): Promise<void> {
  const [chapters, exercises] = await Promise.all([listChapters(), listExercises()]);
  if (json) {
    const facts = exercises.map(({ id, title, chapter, minutes, difficulty, tasks }) => ({
      ...{ id, title, chapter, minutes, difficulty },
      tasks: tasks.map((task) => task.id),
    }));
    return print(`${JSON.stringify(facts, null, 2)}\n`);
  }
  const lines = chapters
    .filter(({ status }) => status === 'written')
    .flatMap(({ number, title }) => [
      paint.bold(`${number}. ${title}`),
      ...exercises
        .filter(({ chapter }) => chapter === number)
        .map((one) => `   ${one.id.padEnd(20)} ${one.title} ${paint.dim(`(${one.difficulty}, ${one.minutes} min)`)}`),
    ]);
  await print(`${lines.join('\n')}\n`);
}

async function start(id: string): Promise<void> {
  const { exercise, states } = await runAttempt(await loadExercise(id));
  await print(`\n${formatTasks(exercise, states)}\n`);
  if (allDone(states)) await print(`\n${plainText(exercise.explanation)}\n`);
  process.exitCode = allDone(states) ? 0 : 1;
}

async function check(id?: string): Promise<void> {
  const answer = await ask(id, 'check');
  const exercise = await loadExercise(answer.exercise);
  await print(`${formatTasks(fillExercise(exercise, answer.vars), answer.tasks)}\n`);
  process.exitCode = allDone(answer.tasks) ? 0 : 1;
}

async function solve(id?: string): Promise<void> {
  const answer = await ask(id, 'solve');
  const exercise = await loadExercise(answer.exercise);
  await print(`${answer.solution ?? ''}\n${formatTasks(fillExercise(exercise, answer.vars), answer.tasks)}\n`);
  process.exitCode = allDone(answer.tasks) ? 0 : 1;
}

async function reset(id?: string): Promise<void> {
  const { exercise } = await ask(id, 'reset');
  await print(`${exercise} begins again, in a fresh machine\n`);
}

/** @throws TareError `not-found` for an id that is none, `state` when there is no such attempt */
async function ask(id: string | undefined, request: Request): Promise<Answer> {
  if (id !== undefined) await loadExercise(id);
  return askAttempt(id, request);
}

async function prove(id?: string): Promise<void> {
  const exercises = id ? [await loadExercise(id)] : await listExercises();
  const provider = await createProvider();
  let failed = 0;
  try {
    for (const exercise of exercises) {
      await print(`${paint.bold(exercise.id)}\n`);
      for (const proof of await proofsOf(exercise)) {
        const began = Date.now();
        const fault = await proof.run(provider).then(
          () => undefined,
          (error: unknown) => (error instanceof Error ? error.message : String(error)),
        );
        if (fault !== undefined) failed += 1;
        const seconds = paint.dim(`(${((Date.now() - began) / 1000).toFixed(1)} s)`);
        await print(`  ${formatTask(fault === undefined, proof.name)} ${seconds}\n`);
        if (fault !== undefined) await print(`      ${fault}\n`);
      }
    }
  } finally {
    await provider.close();
  }
  if (failed > 0) throw new TareError('state', `${failed} of the proofs do not hold`);
}
