/**
 * Between `tare exercise start` and the commands that act on its attempt: a unix socket of mode 0600 in the state root, one
 * request a connection. Each side writes one line of JSON.
 */
import { chmod, readdir, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TaskState } from '../exercise/index.js';
import { type ErrorCode, TareError } from '../kernel/error.js';
import { makeFolders } from '../kernel/files.js';
import { stateRoot } from '../kernel/places.js';

export type Request = 'check' | 'solve' | 'reset';

export interface Answer {
  readonly exercise: string;
  readonly vars: Readonly<Record<string, string>>;
  readonly tasks: readonly TaskState[];
  /** To `solve`: what was typed. */
  readonly solution?: string;
}

/** More than any request or answer has, in bytes. */
const MAX_LINE = 1 << 20;

/** Asks the attempt that runs; the only one, unless told which. @throws TareError `state` when there is none, or several */
export async function askAttempt(id: string | undefined, request: Request): Promise<Answer> {
  const running = await attempts();
  const wanted = id ?? (running.length === 1 ? running[0] : undefined);
  if (wanted === undefined) {
    if (running.length === 0)
      throw new TareError('state', 'no exercise is running: begin one with "tare exercise start"');
    throw new TareError('state', `several exercises are running, so say which: ${running.join(', ')}`);
  }
  const socket = createConnection(socketPath(wanted));
  try {
    socket.end(`${JSON.stringify({ request })}\n`);
    const answer = JSON.parse(await readLine(socket)) as Answer & { error?: { code: ErrorCode; message: string } };
    if (answer.error) throw new TareError(answer.error.code, answer.error.message);
    return answer;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
    throw new TareError(
      'state',
      `the exercise ${wanted} is not running: begin it with "tare exercise start ${wanted}"`,
      {
        cause: error,
      },
    );
  } finally {
    socket.destroy();
  }
}

/**
 * Answers requests until the returned function is called. `@throws` TareError `exists` when the exercise is running already.
 */
export async function serveAttempt(
  id: string,
  answer: (request: Request) => Promise<Answer>,
): Promise<() => Promise<void>> {
  const path = socketPath(id);
  makeFolders(join(stateRoot(), 'exercise'));
  if (await answers(path))
    throw new TareError('exists', `the exercise ${id} is running already; "tare exercise reset ${id}" begins it again`);
  await rm(path, { force: true }); // nobody listens: a start that was killed has left it
  const server = createServer({ allowHalfOpen: true }, (socket) => void serve(socket, answer));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(path, () => resolve());
  });
  await chmod(path, 0o600); // within a folder of mode 0700, so nobody was faster
  return async () => {
    await new Promise((resolve) => server.close(resolve));
    await rm(path, { force: true });
  };
}

async function serve(socket: Socket, answer: (request: Request) => Promise<Answer>): Promise<void> {
  socket.on('error', () => socket.destroy()); // whoever asked has gone
  try {
    const { request } = JSON.parse(await readLine(socket)) as { request: Request };
    if (!['check', 'solve', 'reset'].includes(request)) throw new TareError('usage', `no such request: ${request}`);
    socket.end(`${JSON.stringify(await answer(request))}\n`);
  } catch (error) {
    const { code, message } = error instanceof TareError ? error : new TareError('internal', String(error));
    socket.end(`${JSON.stringify({ error: { code, message } })}\n`);
  }
}

async function attempts(): Promise<string[]> {
  const names = await readdir(join(stateRoot(), 'exercise')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const sockets = names.filter((name) => name.endsWith('.sock')).sort();
  const alive = await Promise.all(sockets.map((name) => answers(join(stateRoot(), 'exercise', name))));
  return sockets.filter((_, index) => alive[index]).map((name) => name.slice(0, -5));
}

/** Does somebody listen? */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (data: string) => {
      text += data;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > MAX_LINE)
        reject(new TareError('protocol', 'the other side of the exercise’s socket says too much'));
    });
    socket.once('end', () => reject(new TareError('protocol', 'the exercise ended before it answered')));
    socket.once('error', reject);
  });
}

function socketPath(id: string): string {
  return join(stateRoot(), 'exercise', `${id}.sock`);
}
