/**
 * The library that ships: chapters/ and exercises/ of this project. Read anew at most every two seconds, so that an author
 * who reloads the page sees what was just written.
 */
import { basename } from 'node:path';
import { fillVars, listChapters, listExercises, loadLesson, startAttempt } from '../../runtime/exercise/index.js';
import type { Chapter, Library } from './library.js';

const FRESH_MS = 2000;

export function openShelf(root?: string): Library {
  let read: Promise<readonly Chapter[]> | undefined;
  let at = 0;
  return {
    chapters() {
      if (!read || performance.now() - at > FRESH_MS) {
        at = performance.now();
        read = readChapters(root);
        read.catch(() => {
          read = undefined;
        });
      }
      return read;
    },
    fill: fillVars,
    begin: (exercise, machine) => startAttempt(exercise, machine),
  };
}

async function readChapters(root?: string): Promise<readonly Chapter[]> {
  const [chapters, exercises] = await Promise.all([listChapters(root), listExercises(root)]);
  return Promise.all(
    chapters.map(async (chapter) => {
      const { number, title, summary, minutes, status, systems, folder } = chapter;
      return {
        id: folder ? basename(folder) : String(number),
        number,
        title,
        summary,
        minutes,
        status,
        systems,
        markdown: folder ? (await loadLesson(number, root)).markdown : '',
        exercises: exercises.filter((exercise) => exercise.chapter === number),
      };
    }),
  );
}
