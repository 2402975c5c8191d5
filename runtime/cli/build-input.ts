/** What `tare build` is given: the Dockerfile, from a file or standard input, and the folder or archive that it copies from. */
import { closeSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BuildContext, refuseOthers } from '../image/build/context/index.js';
import type { ImageStore } from '../image/store/index.js';
import { native } from '../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants/open.js';
import { TareError } from '../kernel/error.js';
import { OwnedFd } from '../kernel/fd.js';
import { openInRoot } from '../kernel/in-root.js';
import { OPEN_UNTRUSTED, readRegular, readRegularByPath } from '../kernel/read-regular.js';

export interface BuildInput extends AsyncDisposable {
  readonly dockerfile: string;
  readonly file: string;
  readonly context: BuildContext;
}

/**
 * The Dockerfile, and the folder that it copies from. With "-" for the folder standard input is an archive of it, with the Dockerfile in it, or a Dockerfile
 * that copies nothing.
 */
export async function openInput(store: ImageStore, contextPath: string, file: string | undefined): Promise<BuildInput> {
  // Loaded only when it is needed: it unpacks archives.
  if (contextPath === '-') return (await import('./build-archive.js')).openStandardInput(store, file);
  refuseOthers(contextPath);
  refuseNoFolder(contextPath);
  const path = file ?? join(contextPath, 'Dockerfile');
  const dockerfile =
    path === '-'
      ? await (await import('./build-archive.js')).readStandardInput()
      : readDockerfile(path, file === undefined ? contextPath : undefined);
  const context = path === '-' ? BuildContext.open(contextPath) : BuildContext.open(contextPath, path);
  const dispose = async () => context[Symbol.dispose]();
  return { dockerfile, file: path === '-' ? 'standard input' : path, context, [Symbol.asyncDispose]: dispose };
}

/** Said before anything about a Dockerfile in it. */
function refuseNoFolder(path: string): void {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts) throw new TareError('not-found', `the build context ${JSON.stringify(path)} is not there`, { path });
  if (!facts.isDirectory())
    throw new TareError(
      'usage',
      `the build context ${JSON.stringify(path)} is no folder: a Dockerfile goes with --file`,
    );
}

export const MAX_DOCKERFILE = 4 << 20;

/** @param context whose own it is, if nobody named it @throws TareError `not-found`, `usage` */
function readDockerfile(path: string, context: string | undefined): string {
  return (context === undefined ? readFile(path) : readOwn(context, path)).toString();
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
