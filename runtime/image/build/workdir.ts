/** WORKDIR makes its folder where it is missing, and what is missing above it. Its owner is the user who is set by then, as BuildKit has it. */
import { native } from '../../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { mountOverlay } from '../snapshot/index.js';
import type { Owner } from './copy/owner.js';
import type { FileStep } from './files.js';

export function makeFolderStep(path: string, user: string): FileStep {
  return {
    kind: 'workdir',
    key: { path, user },
    async work(folders) {
      // Loaded only when it is needed.
      const [{ userOf }, { makeFolders }] = await Promise.all([
        import('../../container/index.js'),
        import('./copy/target.js'),
      ]);
      using root = await mountOverlay(folders);
      using there = folderAt(root.fd, path);
      // Who owns it is asked only where it is made: the user may not be known to the image yet.
      if (!there) makeFolders(root.fd, path, ownerOf(userOf, root.fd, user))[Symbol.dispose]();
    },
  };
}

/** As BuildKit has it: a number alone is user and group, as with --chown; an image without users has root. */
function ownerOf(userOf: (tree: string, user: string) => Owner, root: number, user: string): Owner {
  const tree = `/proc/self/fd/${root}`;
  if (/^\d+$/.test(user)) return userOf(tree, `${user}:${user}`);
  try {
    return userOf(tree, user);
  } catch (error) {
    if (/^root(?::root)?$/.test(user)) return userOf(tree, '0:0');
    throw error;
  }
}

/** undefined where there is none. @throws TareError `config` where there is something else */
function folderAt(root: number, path: string): OwnedFd | undefined {
  try {
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    return new OwnedFd(native.openat2(root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
  } catch (error) {
    if (!(error instanceof TareError)) throw error;
    if (error.syscall?.errno === 'ENOENT') return undefined;
    if (error.syscall?.errno === 'ENOTDIR' || error.syscall?.errno === 'ELOOP')
      throw new TareError('config', `WORKDIR ${path} is no folder in the image`, { cause: error });
    throw error;
  }
}
