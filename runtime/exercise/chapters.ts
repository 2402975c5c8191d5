/**
 * The book: chapters/NN-name/lesson.md for the chapters that are written, and chapters/outline.yaml for the whole road, so that
 * a page can show what is to come and say that it is not written yet.
 *
 * A lesson is Markdown with four kinds of fenced block that mean more than code:
 *   `sh run`                          commands to run in the terminal of the page
 *   `ts file=… region=… lines=…`      a listing of real source (see listings.ts)
 *   `exercise ID`                     the place where an exercise belongs; the block is empty
 *   `out`                             what a command shows
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { TareError } from '../kernel/error.js';
import { packageRoot } from '../kernel/places.js';
import { resolveListings } from './listings.js';
import { listExercises } from './load.js';
import { lessonSchema, outlineSchema, parseFrontMatter, parseYaml } from './schema.js';

export interface Chapter {
  readonly number: number;
  readonly title: string;
  /** One line: what the learner builds or finds out. */
  readonly summary: string;
  readonly status: 'written' | 'planned';
  /** Of reading; 0 for a planned one. */
  readonly minutes: number;
  /** The systems whose ways the chapter explains. */
  readonly systems: readonly string[];
  /** Ids of its exercises, in order. */
  readonly exercises: readonly string[];
  /** Absolute; a planned chapter has none. */
  readonly folder?: string;
}

export interface Lesson extends Chapter {
  /** With every listing filled in. */
  readonly markdown: string;
}

/** All chapters by number, those to come included. @throws TareError `config`. */
export async function listChapters(root: string = packageRoot()): Promise<Chapter[]> {
  const [written, exercises, planned] = await Promise.all([writtenChapters(root), listExercises(root), outline(root)]);
  const both = written.find((chapter) => planned.some((other) => other.number === chapter.number));
  if (both) {
    throw new TareError('config', `chapters/outline.yaml: chapter ${both.number} is written, so it is not planned`, {
      path: 'chapters',
    });
  }
  const homeless = exercises.find((exercise) => !written.some(({ number }) => number === exercise.chapter));
  if (homeless) {
    throw new TareError(
      'config',
      `exercise ${homeless.id} belongs to chapter ${homeless.chapter}, which is not written`,
    );
  }
  return [...written, ...planned]
    .map((chapter) => ({
      ...chapter,
      exercises: exercises.filter((exercise) => exercise.chapter === chapter.number).map((exercise) => exercise.id),
    }))
    .sort((a, b) => a.number - b.number);
}

/** The lesson of a chapter. @throws TareError `not-found` for one that does not exist or is not written, `config`. */
export async function loadLesson(number: number, root: string = packageRoot()): Promise<Lesson> {
  const chapter = (await listChapters(root)).find((candidate) => candidate.number === number);
  if (!chapter) throw new TareError('not-found', `there is no chapter ${number}`);
  if (!chapter.folder) throw new TareError('not-found', `chapter ${number}, "${chapter.title}", is not written yet`);
  const file = join(chapter.folder, 'lesson.md');
  const where = relative(root, file);
  const { body } = parseFrontMatter(where, await readFile(file, 'utf8'), lessonSchema);
  checkExercises(body, chapter, where);
  return { ...chapter, markdown: await resolveListings(body, root, where) };
}

/** Each exercise of the chapter has its place in the lesson, once. */
function checkExercises(body: string, chapter: Chapter, where: string): void {
  const placed = [...body.matchAll(/^```exercise +(\S+)\n```$/gm)].map((match) => match[1] as string);
  const wrong = [
    ...placed.filter((id) => !chapter.exercises.includes(id)).map((id) => `no exercise ${id} in this chapter`),
    ...chapter.exercises.filter((id) => !placed.includes(id)).map((id) => `the exercise ${id} has no place`),
    ...placed.filter((id, index) => placed.indexOf(id) < index).map((id) => `the exercise ${id} stands twice`),
  ];
  if (wrong.length > 0) throw new TareError('config', `${where}: ${wrong.join('; ')}`, { path: where });
}

async function writtenChapters(root: string): Promise<Chapter[]> {
  const entries = await readdir(join(root, 'chapters'), { withFileTypes: true });
  return Promise.all(
    entries
      .filter((entry) => entry.isDirectory())
      .map(async (entry) => {
        const folder = join(root, 'chapters', entry.name);
        const where = relative(root, join(folder, 'lesson.md'));
        const { front } = parseFrontMatter(where, await readFile(join(folder, 'lesson.md'), 'utf8'), lessonSchema);
        if (!entry.name.startsWith(`${String(front.number).padStart(2, '0')}-`)) {
          throw new TareError('config', `${where}: number: must be the folder’s number`, { path: 'number' });
        }
        return { ...front, status: 'written' as const, exercises: [], folder };
      }),
  );
}

async function outline(root: string): Promise<Chapter[]> {
  const file = 'chapters/outline.yaml';
  const { chapters } = parseYaml(file, await readFile(join(root, file), 'utf8'), outlineSchema);
  return chapters.map((chapter) => ({
    ...chapter,
    status: 'planned' as const,
    minutes: 0,
    systems: [],
    exercises: [],
  }));
}
