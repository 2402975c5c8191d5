/** What `tare build` is given: the Dockerfile, from a file or standard input, and the folder that it copies from. */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BuildContext } from '../image/build/context/index.js';
import type { ImageStore } from '../image/store/index.js';
import { TareError } from '../kernel/error.js';
import { OPEN_UNTRUSTED, readRegular } from '../kernel/read-regular.js';

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
  const dockerfile = readDockerfile(path);
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

/** @throws TareError `not-found`, `usage` */
function readDockerfile(path: string): string {
  const data = path === '-' ? readFileSync(0) : readFile(path);
  // gzip, or a tar archive: "ustar" stands in its first header.
  if (data[0] === 0x1f || data.subarray(257, 262).toString() === 'ustar')
    throw new TareError('usage', 'standard input is an archive: unpack it into a folder, and give that');
  return data.toString();
}

function readFile(path: string): Buffer {
  try {
    const fd = openSync(path, OPEN_UNTRUSTED);
    try {
      return readRegular(fd, MAX_DOCKERFILE);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw cause;
    throw new TareError('not-found', `there is no Dockerfile ${path}: name it with --file`, { cause, path });
  }
}
