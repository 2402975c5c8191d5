/** WORKDIR makes its folder where it is missing, and what is missing above it. Its owner is the user who is set by then, as BuildKit has it. */
import { native } from '../../kernel/addon.js';
import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { mountOverlay } from '../snapshot/index.js';
import type { FileStep } from './files.js';

export function makeFolderStep(path: string, user: string): FileStep {
  return {
    kind: 'workdir',
    key: { path, user },
    async work(folders) {
      // Loaded only when it is needed.
      const { userOf } = await import('../../container/index.js');
      using root = await mountOverlay(folders);
      const names = path.split('/').filter(Boolean);
      let there = names.length;
      let at = folderAt(root.fd, names);
      while (!at && there > 0) at = folderAt(root.fd, names.slice(0, --there));
      if (!at) throw new TareError('internal', 'a tree without a root');
      // Who owns it is asked only where it is made: the user may not be known to the image yet.
      const owner = there < names.length ? userOf(`/proc/self/fd/${root.fd}`, user) : { uid: 0, gid: 0 };
      for (const name of names.slice(there)) {
        using parent = at;
        at = makeFolder(parent.fd, name, owner);
      }
      at.close();
    },
  };
}

function makeFolder(parent: number, name: string, { uid, gid }: { uid: number; gid: number }): OwnedFd {
  native.mkdirat(parent, name, 0o755);
  const folder = new OwnedFd(native.openat2(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0));
  native.fchmodat(folder.fd, '', 0o755, AT_EMPTY_PATH);
  native.fchownat(folder.fd, '', uid, gid, AT_EMPTY_PATH);
  return folder;
}

/** undefined where there is none. @throws TareError `config` where there is something else */
function folderAt(root: number, names: readonly string[]): OwnedFd | undefined {
  const path = names.join('/') || '.';
  try {
    const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    return new OwnedFd(native.openat2(root, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
  } catch (error) {
    if (!(error instanceof TareError)) throw error;
    if (error.syscall?.errno === 'ENOENT') return undefined;
    if (error.syscall?.errno === 'ENOTDIR' || error.syscall?.errno === 'ELOOP')
      throw new TareError('config', `WORKDIR /${path} is no folder in the image`, { cause: error });
    throw error;
  }
}
