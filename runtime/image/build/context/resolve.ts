/**
 * Where a path leads in a tree, symbolic links followed, with the path without them: what a link leads to may be ignored, and only the real
 * path says so. Every step is by descriptor; `..` goes back to a descriptor already held, and stops at the root. path_resolution(7)
 */
import { native } from '../../../kernel/addon.js';
import { PATH_MAX } from '../../../kernel/constants/files.js';
import { TareError } from '../../../kernel/error.js';
import type { OwnedFd } from '../../../kernel/fd.js';
import { isDirectory, isSymlink, openName, statusOf } from './tree.js';

const MAX_LINKS = 40;

export interface Resolved extends Disposable {
  /** Without symbolic links; empty for the root. */
  readonly path: readonly string[];
  /** O_PATH, of what is there; the root's own number when it is the root. */
  readonly fd: number;
}

export interface ResolveOptions {
  /** Also the last link, if it is one; so unless told. */
  readonly follow?: boolean;
  /** Makes what is missing, where it can; then it is looked for once more. */
  readonly onMissing?: (folder: number, name: string) => void;
}

/**
 * Undefined when there is nothing.
 * @throws TareError `config` when links lead in a circle, or make a path of more than PATH_MAX components
 */
export function resolveIn(
  root: number,
  path: string,
  { follow = true, onMissing }: ResolveOptions = {},
): Resolved | undefined {
  const held: { name: string; fd: OwnedFd }[] = [];
  const close = (from: number) => {
    for (const { fd } of held.splice(from)) fd.close();
  };
  const todo = parts(path);
  let [links, steps] = [0, 0];
  try {
    for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
      if (++steps > PATH_MAX)
        throw new TareError(
          'config',
          `symbolic links in ${JSON.stringify(path)} make a path of more than ${PATH_MAX} components`,
        );
      if (name === '..') {
        close(Math.max(held.length - 1, 0));
        continue;
      }
      const parent = held.at(-1)?.fd.fd ?? root;
      if (!isDirectory(statusOf(parent))) return finish(undefined);
      const fd = openName(parent, name) ?? made(parent, name);
      if (!fd) return finish(undefined);
      if (!isSymlink(statusOf(fd.fd)) || (todo.length === 0 && !follow)) {
        held.push({ name, fd });
        continue;
      }
      links += 1;
      const target = native.readlinkat(fd.fd, '').toString('latin1');
      fd.close();
      if (links > MAX_LINKS)
        throw new TareError('config', `symbolic links in ${JSON.stringify(path)} lead in a circle`);
      if (target.startsWith('/')) close(0);
      todo.unshift(...parts(target));
    }
    return finish({ path: held.map(({ name }) => name), fd: held.at(-1)?.fd.fd ?? root });
  } catch (error) {
    close(0);
    throw error;
  }

  function made(parent: number, name: string): OwnedFd | undefined {
    onMissing?.(parent, name);
    return onMissing && openName(parent, name);
  }

  function finish(found: { path: string[]; fd: number } | undefined): Resolved | undefined {
    if (!found) {
      close(0);
      return undefined;
    }
    return { ...found, [Symbol.dispose]: () => close(0) };
  }
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
