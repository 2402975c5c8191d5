/**
 * The build context: a folder, held by its descriptor, with what its .dockerignore leaves out.
 * https://docs.docker.com/build/concepts/context/
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { native } from '../../../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT } from '../../../kernel/constants/open.js';
import { TareError } from '../../../kernel/error.js';
import { OwnedFd } from '../../../kernel/fd.js';
import { dataRoot } from '../../../kernel/places.js';
import { readRegularByPath } from '../../../kernel/read-regular.js';
import { IgnoreRules } from './ignore.js';
import { resolveIn } from './resolve.js';
import { bytesOf, identityOf, type SourceTree, statusOf } from './tree.js';

export { type DigestOptions, digestSelected, type FileDigests } from './digest.js';
export { isPattern } from './glob.js';
export { IgnoreRules } from './ignore.js';
export { cleanPath, type Selected, select, whyNothing } from './select.js';
export { identityOf, type SourceTree, statusOf } from './tree.js';

const MAX_FILE = 4 << 20;

/** A folder to copy from, without what its .dockerignore names: see `open`. Dispose of it when the build is done. */
export class BuildContext implements SourceTree, Disposable {
  readonly name = 'the build context';
  readonly folder: string;
  readonly ignore?: IgnoreRules;
  readonly hidden: ReadonlySet<string>;
  readonly #root: OwnedFd;

  private constructor(folder: string, root: OwnedFd, ignore: IgnoreRules | undefined) {
    this.folder = folder;
    this.#root = root;
    if (ignore) this.ignore = ignore;
    this.hidden = ownFolders();
  }

  /**
   * Opens a folder. A `NAME.dockerignore` beside the Dockerfile NAME goes before the .dockerignore of the folder. A folder that was unpacked has
   * its Dockerfile `within`: no link of it leads out.
   * @throws TareError `usage` for what is no folder, `config` with the place of a malformed pattern
   */
  static open(folder: string, dockerfile?: string | { readonly within: string }): BuildContext {
    refuseOthers(folder);
    const root = openRoot(folder);
    try {
      const own =
        typeof dockerfile === 'object'
          ? readWithin(root.fd, `${dockerfile.within}.dockerignore`)
          : dockerfile === undefined
            ? undefined
            : readText(dirname(dockerfile), `${dockerfile}.dockerignore`);
      const text = own ?? readText(folder, join(folder, '.dockerignore'));
      return new BuildContext(folder, root, text && new IgnoreRules(text.text, text.file));
    } catch (error) {
      root.close();
      throw error;
    }
  }

  get root(): number {
    return this.#root.fd;
  }

  /** A file of it, whether ignored or not: a Dockerfile. @throws TareError `not-found` */
  read(path: string): string {
    const found = readWithin(this.root, path);
    if (found) return found.text;
    throw new TareError(
      'not-found',
      `there is no file ${JSON.stringify(path)} in the context: name the Dockerfile with --file`,
    );
  }

  [Symbol.dispose](): void {
    this.#root.close();
  }
}

/** @throws TareError `usage` for a context that is no folder of this machine */
export function refuseOthers(folder: string): void {
  const what = /^https?:\/\//.test(folder)
    ? 'a context from the web is not supported: download it, and give the folder, or the archive to "tare build -"'
    : /^(?:git:\/\/|git@|ssh:\/\/|github\.com\/)/.test(folder)
      ? 'a context in a git repository is not supported: clone it, and give the folder'
      : undefined;
  if (what !== undefined) throw new TareError('usage', what);
}

/** Where Tare keeps images and containers: a build writes there while the context is read. */
function ownFolders(): Set<string> {
  const paths = [join(dataRoot(), 'images'), join(dataRoot(), 'containers')];
  const found = paths
    .filter((path) => existsSync(path))
    .map((path) => {
      using folder = new OwnedFd(native.open(path, O_PATH | O_CLOEXEC));
      return identityOf(statusOf(folder.fd));
    });
  return new Set(found);
}

function openRoot(folder: string): OwnedFd {
  try {
    return new OwnedFd(native.open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
  } catch (error) {
    const errno = error instanceof TareError ? error.syscall?.errno : undefined;
    const why = errno === 'ENOTDIR' ? 'is no folder' : errno === 'ENOENT' ? 'is not there' : undefined;
    if (why === undefined) throw error;
    throw new TareError('usage', `the build context ${JSON.stringify(folder)} ${why}`, { path: folder, cause: error });
  }
}

/** A file of the context, its links followed within it; undefined when it is not there. */
function readWithin(root: number, path: string): { text: string; file: string } | undefined {
  using found = resolveIn(root, bytesOf(path));
  return found && { text: readRegularByPath(found.fd, MAX_FILE).toString(), file: path };
}

/** Undefined when it is not there. A link of the context does not lead out of it. */
function readText(folder: string, file: string): { text: string; file: string } | undefined {
  using root = openRoot(folder === '' ? '.' : folder);
  const name = file.slice(file.lastIndexOf('/') + 1);
  let fd: OwnedFd;
  try {
    fd = new OwnedFd(native.openat2(root.fd, name, O_PATH | O_CLOEXEC, 0, RESOLVE_IN_ROOT));
  } catch (error) {
    if (error instanceof TareError && error.syscall?.errno === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return { text: readRegularByPath(fd.fd, MAX_FILE).toString('utf8'), file };
  } catch (error) {
    throw new TareError('config', `${file} cannot be read: ${(error as Error).message}`, { path: file, cause: error });
  } finally {
    fd.close();
  }
}
