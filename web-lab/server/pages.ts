/**
 * What HTTP answers: the page, its files, and GET /api/... as the views of ../protocol.ts. Everything is behind the guard;
 * the first visit, with ?token=, gets its cookie and is sent on to the clean address, so that the token stays out of
 * history, bookmarks and Referer.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { Exercise } from '../../runtime/exercise/types.js';
import type { ChapterListView, ChapterSummaryView, ChapterView, ExerciseView } from '../protocol.js';
import { type Guard, type Refusal, securityHeaders } from './guard.js';
import type { Chapter, Library } from './library.js';
import type { Progress } from './progress.js';

export interface PagesContext {
  readonly guard: Guard;
  readonly library: Library;
  readonly progress: Progress;
  readonly clientFolder: string;
  readonly log: (sentence: string) => void;
}

export function pages(context: PagesContext): Express {
  const { guard, library, progress, clientFolder, log } = context;
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');

  app.use((request, response, next) => {
    const changes = !['GET', 'HEAD'].includes(request.method);
    const refusal = guard.checkOrigin(request, changes);
    if (refusal) return refuse(response, refusal);
    response.set(securityHeaders(request.headers.host ?? ''));
    next();
  });
  app.use((request, response, next) => {
    const { token } = request.query;
    const cookie = typeof token === 'string' && request.method === 'GET' ? guard.exchange(token) : undefined;
    if (cookie) {
      const clean = /^\/chapter\/[a-z0-9-]+$/.test(request.path) ? request.path : '/';
      return response.set({ 'Set-Cookie': cookie, 'Cache-Control': 'no-store' }).redirect(303, clean);
    }
    const refusal = guard.checkCookie(request);
    if (refusal) return refuse(response, refusal);
    next();
  });

  app.get('/api/chapters', async (_request, response) => {
    const chapters = await library.chapters();
    const view: ChapterListView = { chapters: chapters.map(summary), progress: progress.view, notice: progress.notice };
    response.set('Cache-Control', 'no-store').json(view);
  });
  app.get('/api/chapters/:id', async (request, response) => {
    const chapters = (await library.chapters()).filter(({ status }) => status === 'written');
    const at = chapters.findIndex(({ id }) => id === request.params.id);
    const chapter = chapters[at];
    if (!chapter) return answer(response, 404, 'There is no such chapter.');
    const view: ChapterView = {
      ...summary(chapter),
      markdown: chapter.markdown,
      exercises: chapter.exercises.map(exerciseView),
      progress: progress.view,
      previous: neighbour(chapters[at - 1]),
      next: neighbour(chapters[at + 1]),
    };
    response.set('Cache-Control', 'no-store').json(view);
  });
  app.delete('/api/progress', (_request, response) => {
    progress.clear();
    response.set('Cache-Control', 'no-store').json(progress.view);
  });
  app.use('/api', (_request, response) => answer(response, 404, 'There is no such thing here.'));

  // Vite puts a hash of the content into the names below assets/.
  app.use(
    '/assets',
    express.static(join(clientFolder, 'assets'), { immutable: true, maxAge: '1y', index: false, dotfiles: 'ignore' }),
  );
  app.get(['/', '/chapter/:id'], (request, response) => sendPage(request, response, clientFolder));
  app.use((_request, response) => answer(response, 404, 'There is no such page.'));
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    // A malformed request (a bad percent sign in the path) is not the server's fault.
    const status = (error as { status?: unknown }).status;
    if (typeof status === 'number' && status >= 400 && status < 500)
      return answer(response, status, 'The request is malformed.');
    log(`a request failed: ${error instanceof Error ? error.stack : error}`);
    answer(response, 500, 'Something went wrong inside the lab; its terminal shows what.');
  });
  return app;
}

/** The page, with a nonce of its own for the style elements that xterm makes. */
async function sendPage(request: Request, response: Response, clientFolder: string): Promise<void> {
  let html: string;
  try {
    html = await readFile(join(clientFolder, 'index.html'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return answer(response, 503, 'The page has not been built: run “npm run build”, then reload.');
  }
  const nonce = randomBytes(18).toString('base64');
  response.set(securityHeaders(request.headers.host ?? '', nonce)).set('Cache-Control', 'no-store');
  response.type('html').send(html.replace('__NONCE__', nonce));
}

function summary(chapter: Chapter): ChapterSummaryView {
  const { id, number, title, summary, minutes, status, systems, exercises } = chapter;
  return {
    id,
    number,
    title,
    summary,
    minutes,
    status,
    systems,
    exercises: exercises.map(({ id, title, tasks }) => ({ id, title, tasks: tasks.length })),
  };
}

function exerciseView(exercise: Exercise): ExerciseView {
  const { id, title, minutes, difficulty, concepts, systems, text, tasks, env } = exercise;
  return {
    id,
    title,
    minutes,
    difficulty,
    concepts,
    systems,
    terminals: env.terminals,
    text,
    // Hints come with the fault that they are for, not before.
    tasks: tasks.map(({ id, prompt, needs }) => ({ id, prompt, needs })),
  };
}

function neighbour(chapter: Chapter | undefined) {
  return chapter && { id: chapter.id, number: chapter.number, title: chapter.title };
}

function refuse(response: Response, { status, sentence }: Refusal): void {
  answer(response.set(securityHeaders('')), status, sentence);
}

function answer(response: Response, status: number, sentence: string): void {
  response.status(status).set('Cache-Control', 'no-store').type('text/plain').send(`${sentence}\n`);
}
