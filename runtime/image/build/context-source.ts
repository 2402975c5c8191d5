/** What a RUN binds of the build context: what .dockerignore leaves of it, known by its content, copied by descriptor. */
import { mkdirSync } from 'node:fs';
import { posix } from 'node:path';
import { native } from '../../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { digestSelected, type Selected, type SourceTree, select, whyNothing } from './context/index.js';
import { isDirectory } from './context/tree.js';
import type { MountSource } from './mounts.js';

export function contextSource(tree: SourceTree): MountSource {
  return {
    digest: (path) => digestSelected([one(tree, path)], { owners: true }),
    copy: async (path, to) => {
      const selected = one(tree, path);
      const isFolder = isDirectory(selected.status);
      // A file is copied into the folder that it is to lie in, under its new name.
      if (isFolder) mkdirSync(to);
      using root = new OwnedFd(native.open(isFolder ? to : posix.dirname(to), O_PATH | O_DIRECTORY | O_CLOEXEC));
      const destination = isFolder ? '/' : `/${posix.basename(to)}`;
      const { copyInto } = await import('./copy/index.js');
      await copyInto(root.fd, [{ kind: 'selected', selected }], destination, { keepOwners: true });
    },
  };
}

function one(tree: SourceTree, path: string): Selected {
  const [selected, ...more] = select(tree, path);
  if (selected && more.length === 0) return selected;
  const why = selected ? 'it is several files' : whyNothing(tree, path);
  throw new TareError('not-found', `${JSON.stringify(path)} cannot be bound: ${why}`);
}
