/**
 * A build context that comes as a tar archive on standard input: `tare build - < context.tar`. It is unpacked into a folder of its own, below which all
 * is by descriptor; the Dockerfile is a file of it. Text that is no archive is a Dockerfile without a context.
 */
import { closeSync, createWriteStream, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BuildContext } from '../image/build/context/index.js';
import { mayBeArchive, sniffArchive, unpackArchive } from '../image/build/copy/index.js';
import { type Sniffed, sniff } from '../image/layer/index.js';
import type { ImageStore } from '../image/store/index.js';
import { TareError } from '../kernel/error.js';
import { OPEN_UNTRUSTED } from '../kernel/read-regular.js';
import { type BuildInput, MAX_DOCKERFILE } from './build-input.js';

/** A context or a Dockerfile. @throws TareError `usage`, `protocol`, `not-found` */
export async function openStandardInput(store: ImageStore, file = 'Dockerfile'): Promise<BuildInput> {
  const begun = await standardInput(true);
  if (mayBeArchive(begun.head)) return { ...(await unpackContext(store, begun, file)), file };
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

async function standardInput(takesArchive: boolean): Promise<Sniffed> {
  const begun = await sniff(process.stdin);
  if (takesArchive || !mayBeArchive(begun.head)) return begun;
  throw await refused(begun, 'standard input is an archive, not a Dockerfile: it is a context, for "tare build -"');
}

/** Nothing more is read. */
async function refused(begun: Sniffed, message: string): Promise<TareError> {
  await begun.close();
  return new TareError('usage', message);
}

/** All of it. @throws TareError `usage` for more than `most` bytes */
async function textOf({ whole }: Sniffed, most: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of whole) {
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
async function unpackContext(store: ImageStore, { whole }: Sniffed, dockerfile: string): Promise<UnpackedContext> {
  const scratch = await store.scratch();
  let context: BuildContext | undefined;
  const dispose = async () => {
    context?.[Symbol.dispose]();
    await scratch[Symbol.asyncDispose]();
  };
  try {
    const [archive, folder] = [join(scratch.path, 'archive'), join(scratch.path, 'context')];
    mkdirSync(folder, { mode: 0o755 });
    await pipeline(whole, createWriteStream(archive, { flags: 'wx', mode: 0o600 }));
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
