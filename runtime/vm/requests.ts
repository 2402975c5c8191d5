/**
 * What can be asked of an agent, one function a question: commands, files, plans. Each opens a channel, gathers the answer
 * within a bound, and settles once.
 */

import type { FileFacts } from '../inspect/proc-source.js';
import { TareError } from '../kernel/error.js';
import { fileError, requestError } from './agent-errors.js';
import { environment } from './environment.js';
import { lie, type OpenRequest } from './frames.js';
import type { AgentLink, Channel } from './link.js';
import type { ExecOptions, ExecResult, PlanRun } from './machine.js';

const FILE_TIMEOUT_MS = 20_000;
const PLAN_TIMEOUT_MS = 60_000;
const MAX_FILE = 4 << 20;
const MAX_OUTPUT = 1 << 20;
const MAX_LISTING = 1 << 20;
const MAX_REPORTS = 8 << 20;

/** Runs a command to its end. */
export async function exec(link: AgentLink, argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  if (argv.length === 0) throw new TareError('usage', 'no command was given');
  const input = typeof options.stdin === 'string' ? Buffer.from(options.stdin) : options.stdin;
  const name = argv[0] as string;
  const answer = await ask(
    link,
    { kind: 'exec', c: argv.length, strings: [options.cwd ?? '', ...argv, ...environment(options.env)] },
    {
      what: name,
      most: options.maxOutput ?? MAX_OUTPUT,
      timeoutMs: options.timeoutMs,
      input: input ?? new Uint8Array(),
    },
  );
  if (answer.errno) throw requestError(answer.errno, 'execve', name);
  return { status: answer.status, stdout: answer.stream(1), stderr: answer.stream(2) };
}

/** The whole of a file; EFBIG when it is larger than `maxBytes`. */
export async function readFile(link: AgentLink, path: string, maxBytes = MAX_FILE): Promise<Buffer> {
  const answer = await askFile(
    link,
    { kind: 'read', a: Math.min(maxBytes, 0xffffffff), strings: [path] },
    'open',
    path,
    maxBytes,
  );
  return answer.stream(1);
}

export async function readlink(link: AgentLink, path: string): Promise<string> {
  return (await askFile(link, { kind: 'readlink', strings: [path] }, 'readlink', path, 4096)).stream(1).toString();
}

export async function readdir(link: AgentLink, path: string): Promise<string[]> {
  const names = (await askFile(link, { kind: 'readdir', strings: [path] }, 'scandir', path, MAX_LISTING))
    .stream(1)
    .toString();
  return names.split('\0').slice(0, -1);
}

export async function stat(link: AgentLink, path: string): Promise<FileFacts> {
  const data = (await askFile(link, { kind: 'stat', strings: [path] }, 'stat', path, 48)).stream(1);
  if (data.length !== 48) throw lie('the description of a file in another size');
  const [dev, ino, size, rdev] = [0, 8, 16, 24].map((at) => Number(data.readBigUInt64LE(at))) as [
    number,
    number,
    number,
    number,
  ];
  return { dev, ino, size, rdev, mode: data.readUInt32LE(32), uid: data.readUInt32LE(36), gid: data.readUInt32LE(40) };
}

export async function writeFile(link: AgentLink, path: string, data: Uint8Array | string, mode = 0o644): Promise<void> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  await askFile(link, { kind: 'write', a: mode, strings: [path] }, 'open', path, 0, bytes);
}

/** Runs an encoded plan under the guest's stage. */
export async function runPlan(
  link: AgentLink,
  plan: Uint8Array,
  options: { trace?: boolean; timeoutMs?: number } = {},
): Promise<PlanRun> {
  const reports: { lane: number; data: Buffer }[] = [];
  const answer = await ask(
    link,
    { kind: 'plan', a: options.trace ? 1 : 0 },
    {
      what: 'the plan',
      most: MAX_REPORTS,
      timeoutMs: options.timeoutMs ?? PLAN_TIMEOUT_MS,
      input: plan,
      onData: (lane, data) => reports.push({ lane, data: Buffer.from(data) }),
    },
  );
  if (answer.errno) throw requestError(answer.errno, 'execve', 'stage');
  return { status: answer.status, reports };
}

interface Question {
  readonly what: string;
  readonly most: number;
  readonly timeoutMs?: number;
  readonly input?: Uint8Array;
  readonly onData?: (stream: number, data: Buffer) => void;
}

interface Answer {
  readonly status: number;
  readonly errno: number;
  stream(number: number): Buffer;
}

async function askFile(
  link: AgentLink,
  request: OpenRequest,
  syscall: string,
  path: string,
  most: number,
  input?: Uint8Array,
): Promise<Answer> {
  const answer = await ask(link, request, { what: path, most, timeoutMs: FILE_TIMEOUT_MS, input });
  if (answer.errno) throw fileError(answer.errno, syscall, path);
  return answer;
}

/** Opens a channel and gathers what comes, until its end, a bound, or the time limit. */
async function ask(link: AgentLink, request: OpenRequest, question: Question): Promise<Answer> {
  const parts: { stream: number; data: Buffer }[] = [];
  let size = 0;
  let channel: Channel | undefined;
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const giveUp = (error: TareError) => {
        over = true;
        channel?.close();
        reject(error);
      };
      const data = (stream: number, bytes: Buffer) => {
        size += bytes.length;
        if (size > question.most)
          giveUp(new TareError('protocol', `${question.what}: more than ${question.most} bytes of output`));
        else if (question.onData) question.onData(stream, bytes);
        else parts.push({ stream, data: Buffer.from(bytes) });
      };
      const end = (status: number, errno: number, gone?: TareError) => {
        const stream = (number: number) =>
          Buffer.concat(parts.filter((part) => part.stream === number).map((part) => part.data));
        if (gone) reject(gone);
        else resolve({ status, errno, stream });
      };
      link.open(request, { data, end }).then((opened) => {
        channel = opened;
        // It waited for a free channel, and longer than anybody wants the answer.
        if (over) channel.close();
        else if (question.input) {
          channel.write(question.input);
          channel.end();
        }
      }, reject);
      const { timeoutMs } = question;
      if (timeoutMs !== undefined)
        timer = setTimeout(
          () => giveUp(new TareError('timeout', `${question.what}: no end after ${timeoutMs / 1000} s`)),
          timeoutMs,
        );
    });
  } finally {
    clearTimeout(timer);
  }
}
