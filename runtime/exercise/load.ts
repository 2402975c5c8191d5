/**
 * Reads exercises/NN-name/<id>/ and refuses what is not whole: bad front matter, a task that needs an unknown one, a var that
 * does not exist, a script that is missing. Authors get one sentence that names the file and the field.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TareError } from '../kernel/error.js';
import { packageRoot } from '../kernel/places.js';
import { namesIn } from './fill.js';
import { nearest } from './nearest.js';
import { exerciseSchema, parseFrontMatter } from './schema.js';
import type { Checks, Exercise } from './types.js';

/** A plausible wrong answer, and what must refuse it. */
export interface Mutant {
  readonly name: string; // `no-fork`: the file's name
  readonly task: string;
  readonly fault: string;
  readonly script: string;
}

/** All exercises, by chapter, in the order of their prerequisites. @throws TareError `config` for the first broken one. */
export async function listExercises(root: string = packageRoot()): Promise<Exercise[]> {
  const folders = await exerciseFolders(root);
  const exercises = await Promise.all(folders.map((folder) => readExercise(folder, root)));
  const known = new Map(exercises.map((exercise) => [exercise.id, exercise]));
  if (known.size < exercises.length) {
    throw new TareError('config', 'two exercises have the same id', { path: 'id' });
  }
  for (const exercise of exercises) {
    for (const before of exercise.prerequisites) {
      if (!known.has(before))
        throw broken(join(exercise.folder, 'exercise.md'), root, 'prerequisites', `no exercise ${before}`);
    }
  }
  return inOrder(exercises, known, root);
}

/** One exercise by its id. @throws TareError `not-found`, which suggests what is near. */
export async function loadExercise(id: string, root: string = packageRoot()): Promise<Exercise> {
  const folders = await exerciseFolders(root);
  const folder = folders.find((path) => basename(path) === id);
  if (folder) return readExercise(folder, root);
  const near = nearest(
    id,
    folders.map((path) => basename(path)),
  );
  const help = near.length > 0 ? `did you mean ${near.join(' or ')}?` : 'see "tare exercise list"';
  throw new TareError('not-found', `there is no exercise "${id}": ${help}`, { path: id });
}

/** What check.ts exports: a function for each task. @throws TareError `config` when one is missing or too many. */
export async function loadChecks(exercise: Exercise): Promise<Checks> {
  const file = checkFile(exercise.folder);
  const module = (await import(pathToFileURL(file).href)) as { default?: Checks };
  const checks = module.default ?? {};
  const tasks = exercise.tasks.map((task) => task.id);
  const wrong = [
    ...tasks.filter((id) => typeof checks[id] !== 'function').map((id) => `no check for the task ${id}`),
    ...Object.keys(checks)
      .filter((id) => !tasks.includes(id))
      .map((id) => `a check for ${id}, which is no task`),
  ];
  if (wrong.length > 0) throw new TareError('config', `${file}: ${wrong.join('; ')}`, { path: file });
  return checks;
}

/** The text of setup.sh or solution.sh, vars not yet filled in. */
export async function readScript(exercise: Exercise, name: 'setup.sh' | 'solution.sh'): Promise<string> {
  return readFile(join(exercise.folder, name), 'utf8');
}

/** The wrong answers. @throws TareError `config` for a first line that does not say what must refuse it. */
export async function loadMutants(exercise: Exercise): Promise<Mutant[]> {
  const folder = join(exercise.folder, 'mutants');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sh')).sort();
  return Promise.all(
    names.map(async (name) => {
      const file = join(folder, name);
      const script = await readFile(file, 'utf8');
      const match = /^# refused-by: ([a-z0-9-]+) fault: ([a-z0-9-]+)\n/.exec(script);
      if (!match || !exercise.tasks.some((task) => task.id === match[1])) {
        throw new TareError('config', `${file}: line 1 must be "# refused-by: TASK fault: FAULT"`, { path: file });
      }
      return { name: name.slice(0, -3), task: match[1] as string, fault: match[2] as string, script };
    }),
  );
}

/** Reads and checks one folder. @throws TareError `config`. */
export async function readExercise(folder: string, root: string = packageRoot()): Promise<Exercise> {
  const file = join(folder, 'exercise.md');
  const where = relative(root, file);
  const { front, body } = parseFrontMatter(where, await readOrRefuse(file, where), exerciseSchema);
  if (front.id !== basename(folder)) throw broken(file, root, 'id', `must be the folder’s name, ${basename(folder)}`);
  const number = Number(/^(\d\d)-/.exec(basename(dirname(folder)))?.[1]);
  if (front.chapter !== number) throw broken(file, root, 'chapter', `must be the folder’s number, ${number}`);
  checkTasks(front.tasks, file, root);
  const { text, explanation } = splitBody(body, file, root);

  const scripts = await Promise.all(
    ['setup.sh', 'solution.sh'].map((name) => readOrRefuse(join(folder, name), relative(root, join(folder, name)))),
  );
  const prose = front.tasks.flatMap((task) => [task.prompt, ...task.hints.map((hint) => hint.text)]);
  for (const name of [text, explanation, ...prose, ...scripts].flatMap(namesIn)) {
    if (!(name in front.vars)) throw broken(file, root, 'vars', `{{${name}}} is used, but is not a var`);
  }
  return { ...front, text, explanation, folder };
}

function checkTasks(tasks: readonly { id: string; needs: readonly string[] }[], file: string, root: string): void {
  tasks.forEach((task, index) => {
    const earlier = tasks.slice(0, index).map((other) => other.id);
    if (earlier.includes(task.id)) throw broken(file, root, `tasks[${index}].id`, `there is already a task ${task.id}`);
    const unknown = task.needs.find((id) => !earlier.includes(id));
    if (unknown) throw broken(file, root, `tasks[${index}].needs`, `${unknown} is not the id of an earlier task`);
  });
}

/** The text ends where the heading "Explanation" begins; both must be there. */
function splitBody(body: string, file: string, root: string): { text: string; explanation: string } {
  const parts = body.split(/^## Explanation\n/m).map((part) => part.trim());
  const [text, explanation] = parts;
  if (parts.length !== 2 || !text || !explanation) {
    throw broken(file, root, 'body', 'must be a text, then one heading "## Explanation" and what follows it');
  }
  return { text, explanation };
}

async function exerciseFolders(root: string): Promise<string[]> {
  const chapters = (await readdir(join(root, 'exercises'), { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, 'exercises', entry.name))
    .sort();
  const lists = await Promise.all(
    chapters.map(async (chapter) =>
      (await readdir(chapter, { withFileTypes: true }))
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(chapter, entry.name))
        .sort(),
    ),
  );
  return lists.flat();
}

/** By chapter; within it, what comes first in prerequisites comes first, and otherwise the shorter before the longer. */
function inOrder(exercises: readonly Exercise[], known: ReadonlyMap<string, Exercise>, root: string): Exercise[] {
  const depth = (exercise: Exercise, above: readonly string[] = []): number => {
    if (above.includes(exercise.id)) {
      throw broken(
        join(exercise.folder, 'exercise.md'),
        root,
        'prerequisites',
        `${exercise.id} is its own prerequisite`,
      );
    }
    const before = exercise.prerequisites.map((id) => known.get(id)).filter((other) => other !== undefined);
    return Math.max(0, ...before.map((other) => 1 + depth(other, [...above, exercise.id])));
  };
  const depths = new Map(exercises.map((exercise) => [exercise, depth(exercise)]));
  const of = (exercise: Exercise): number => depths.get(exercise) ?? 0;
  return [...exercises].sort((a, b) => a.chapter - b.chapter || of(a) - of(b) || a.minutes - b.minutes);
}

/** The check beside the text when Tare runs from its sources; what it is compiled to when it runs from dist/. */
function checkFile(folder: string): string {
  if (import.meta.url.endsWith('.ts')) return join(folder, 'check.ts');
  return join(packageRoot(), 'dist', relative(packageRoot(), folder), 'check.js');
}

async function readOrRefuse(file: string, where: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new TareError('config', `${where}: cannot be read (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
      path: where,
    });
  }
}

function broken(file: string, root: string, field: string, what: string): TareError {
  return new TareError('config', `${relative(root, file)}: ${field}: ${what}`, { path: field });
}
