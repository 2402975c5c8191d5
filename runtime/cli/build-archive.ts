/**
 * A build context that comes as a tar archive on standard input: `tare build - < context.tar`. It is unpacked into a folder of its own, below which all
 * is by descriptor; the Dockerfile is a file of it. Text that is no archive is a Dockerfile without a context.
 */
import { closeSync, createWriteStream, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BuildContext } from '../image/build/context/index.js';
import { mayBeArchive, sniffArchive, unpackArchive } from '../image/build/copy/index.js';
import type { ImageStore } from '../image/store/index.js';
import { TareError } from '../kernel/error.js';
import { OPEN_UNTRUSTED } from '../kernel/read-regular.js';
import { type BuildInput, MAX_DOCKERFILE } from './build-input.js';

/** A context or a Dockerfile. @throws TareError `usage`, `protocol`, `not-found` */
export async function openStandardInput(store: ImageStore, file = 'Dockerfile'): Promise<BuildInput> {
  const begun = await standardInput(true);
  if (isArchive(begun)) return { ...(await unpackContext(store, begun, file)), file };
  if (file !== 'Dockerfile')
    throw await refused(begun, 'standard input is no archive, and so the Dockerfile itself: leave --file out');
  const dockerfile = await textOf(begun, MAX_DOCKERFILE);
  const empty = await store.scratch();
  const context = BuildContext.open(empty.path);
  const dispose = async () => {
    context[Symbol.dispose]();
    await empty[Symbol.asyncDispose]();
  };
  return { dockerfile, file: 'standard input', context, [Symbol.asyncDispose]: dispose };
}

/** The Dockerfile alone. @throws TareError `usage` */
export async function readStandardInput(): Promise<string> {
  return textOf(await standardInput(false), MAX_DOCKERFILE);
}

async function standardInput(mayBeArchive: boolean): Promise<Begun> {
  const begun = await begin(process.stdin);
  if (mayBeArchive || !isArchive(begun)) return begun;
  throw await refused(begun, 'standard input is an archive, not a Dockerfile: it is a context, for "tare build -"');
}

/** Nothing more is read. */
async function refused({ rest }: Begun, message: string): Promise<TareError> {
  await rest.return?.();
  return new TareError('usage', message);
}

/** What has been read of a stream, and the stream. */
interface Begun {
  readonly start: Buffer;
  readonly rest: AsyncIterator<Uint8Array>;
}

/** The first block of a stream: enough to tell an archive. */
async function begin(stream: AsyncIterable<Uint8Array>): Promise<Begun> {
  const rest = stream[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  for (let length = 0; length < BLOCK; ) {
    const { done, value } = await rest.next();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  return { start: Buffer.concat(chunks), rest };
}

const BLOCK = 512;

function isArchive({ start }: Begun): boolean {
  return mayBeArchive(start.subarray(0, BLOCK));
}

/** All of it. @throws TareError `usage` for more than `most` bytes */
async function textOf(begun: Begun, most: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of all(begun)) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > most) throw new TareError('usage', `the Dockerfile on standard input has more than ${most} bytes`);
  }
  return Buffer.concat(chunks).toString();
}

interface UnpackedContext extends AsyncDisposable {
  readonly context: BuildContext;
  readonly dockerfile: string;
}

/** @param dockerfile its path in the archive @throws TareError `protocol` for a damaged one, `not-found` without a Dockerfile */
async function unpackContext(store: ImageStore, begun: Begun, dockerfile: string): Promise<UnpackedContext> {
  const scratch = await store.scratch();
  let context: BuildContext | undefined;
  const dispose = async () => {
    context?.[Symbol.dispose]();
    await scratch[Symbol.asyncDispose]();
  };
  try {
    const [archive, folder] = [join(scratch.path, 'archive'), join(scratch.path, 'context')];
    mkdirSync(folder, { mode: 0o755 });
    await pipeline(all(begun), createWriteStream(archive, { flags: 'wx', mode: 0o600 }));
    await unpack(archive, folder);
    unlinkSync(archive);
    context = BuildContext.open(folder, { within: dockerfile });
    return { context, dockerfile: context.read(dockerfile), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function unpack(archive: string, folder: string): Promise<void> {
  const [from, to] = [openSync(archive, OPEN_UNTRUSTED), openSync(folder, OPEN_UNTRUSTED)];
  try {
    const packing = await sniffArchive(from, 'context.tar.xz');
    if (packing === undefined)
      throw new TareError('usage', 'what is on standard input is packed, but no tar archive: a context is one');
    // Owners do not matter: what is copied from a context is root's.
    const target = { root: to, folder: { path: '', fd: to, [Symbol.dispose]: () => undefined } };
    await unpackArchive(from, packing, { ...target, owner: { uid: 0, gid: 0 } });
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

async function* all({ start, rest }: Begun): AsyncGenerator<Uint8Array, void, void> {
  yield start;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}
