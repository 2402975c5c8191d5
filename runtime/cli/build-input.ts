/** What `tare build` is given: the Dockerfile, from a file or standard input, and the folder that it copies from. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BuildContext } from '../image/build/context/index.js';
import { openInRoot } from '../image/in-root.js';
import type { ImageStore } from '../image/store/index.js';
import { native } from '../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants/open.js';
import { TareError } from '../kernel/error.js';
import { OwnedFd } from '../kernel/fd.js';
import { OPEN_UNTRUSTED, readRegular, readRegularByPath } from '../kernel/read-regular.js';

export interface BuildInput extends AsyncDisposable {
  readonly dockerfile: string;
  readonly file: string;
  readonly context: BuildContext;
}

/** The Dockerfile, and the folder that it copies from. With "-" for the folder there is nothing to copy. */
export async function openInput(store: ImageStore, contextPath: string, file: string | undefined): Promise<BuildInput> {
  const isAlone = contextPath === '-';
  if (isAlone && file !== undefined)
    throw new TareError('usage', 'with "-" for the context the Dockerfile is standard input: leave --file out');
  const path = isAlone ? '-' : (file ?? join(contextPath, 'Dockerfile'));
  if (!isAlone) refuseNoFolder(contextPath);
  const dockerfile = readDockerfile(path, !isAlone && file === undefined ? contextPath : undefined);
  const empty = isAlone ? await store.scratch() : undefined;
  const folder = empty?.path ?? contextPath;
  const context = path === '-' ? BuildContext.open(folder) : BuildContext.open(folder, path);
  return {
    dockerfile,
    file: path === '-' ? 'standard input' : path,
    context,
    async [Symbol.asyncDispose]() {
      context[Symbol.dispose]();
      await empty?.[Symbol.asyncDispose]();
    },
  };
}

/** Said before anything about a Dockerfile in it. What is no path at all, `BuildContext` knows. */
function refuseNoFolder(path: string): void {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts && !facts.isDirectory())
    throw new TareError(
      'usage',
      `the build context ${JSON.stringify(path)} is no folder: a Dockerfile goes with --file`,
    );
}

const MAX_DOCKERFILE = 4 << 20;

/** @param context whose own it is, if nobody named it @throws TareError `not-found`, `usage` */
function readDockerfile(path: string, context: string | undefined): string {
  const data = path === '-' ? readStandardInput() : context === undefined ? readFile(path) : readOwn(context, path);
  // gzip, or a tar archive: "ustar" stands in its first header.
  if (data[0] === 0x1f || data.subarray(257, 262).toString() === 'ustar')
    throw new TareError('usage', 'standard input is an archive: unpack it into a folder, and give that');
  return data.toString();
}

function readStandardInput(): Buffer {
  const chunks: Buffer[] = [];
  for (let size = 0; ; ) {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const count = readSync(0, chunk);
    if (count === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, count));
    size += count;
    if (size > MAX_DOCKERFILE)
      throw new TareError('usage', `standard input is no Dockerfile: it has more than ${MAX_DOCKERFILE} bytes`);
  }
}

/** A context is somebody else's, as of a clone: its Dockerfile may be a link, but not out of it, for what is no Dockerfile is shown in an error. */
function readOwn(context: string, path: string): Buffer {
  using root = new OwnedFd(native.open(context, O_PATH | O_DIRECTORY | O_CLOEXEC));
  using found = openInRoot(root.fd, 'Dockerfile');
  if (!found) throw notFound(path);
  return regular(path, () => readRegularByPath(found.fd, MAX_DOCKERFILE));
}

function readFile(path: string): Buffer {
  let fd: number;
  try {
    fd = openSync(path, OPEN_UNTRUSTED);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw cause;
    throw notFound(path, cause);
  }
  try {
    return regular(path, () => readRegular(fd, MAX_DOCKERFILE));
  } finally {
    closeSync(fd);
  }
}

function notFound(path: string, cause?: unknown): TareError {
  return new TareError('not-found', `there is no Dockerfile ${path}: name it with --file`, { cause, path });
}

/** What a FIFO, a device or a folder is told, and what is too long. */
function regular(path: string, read: () => Buffer): Buffer {
  try {
    return read();
  } catch (cause) {
    throw new TareError('usage', `the Dockerfile ${path} cannot be read: ${(cause as Error).message}`, { cause, path });
  }
}
