/** What a RUN binds of a stage or an image: known by the layers, copied by descriptor. */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { native } from '../../kernel/addon.js';
import { AT_EMPTY_PATH, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../../kernel/constants/open.js';
import { S_IFDIR, S_IFMT, S_IFREG } from '../../kernel/constants/stat.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { openInRoot } from '../../kernel/in-root.js';
import { copyTree } from '../copy-tree.js';
import type { StageFiles } from './files.js';
import type { MountSource } from './mounts.js';

export function treeSource(files: StageFiles): MountSource {
  return {
    digest: async (path) => ({ layers: files.chainId, path }),
    copy: async (path, to) => {
      using root = await files.mount();
      if (root) await copyOut(root.fd, path, to);
      else if (isRoot(path)) mkdirSync(to);
      else throw missing(path);
    },
  };
}

/** Copies a folder or a file of a tree to a new one of this name. @throws TareError `not-found`, `unsupported` */
async function copyOut(root: number, path: string, to: string): Promise<void> {
  using from = openInRoot(root, path);
  if (!from) throw missing(path);
  const status = native.fstatat(from.fd, '', AT_EMPTY_PATH);
  if (!status) throw missing(path);
  const type = status.mode & S_IFMT;
  if (type === S_IFDIR) {
    mkdirSync(to);
    using target = new OwnedFd(native.open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    await copyTree(from.fd, target.fd, 'what is bound is a copy: what is written to it is lost');
    return;
  }
  if (type !== S_IFREG) throw new TareError('unsupported', `${JSON.stringify(path)} is neither a folder nor a file`);
  using source = new OwnedFd(native.open(`/proc/self/fd/${from.fd}`, O_RDONLY | O_CLOEXEC));
  const target = openSync(to, 'wx', 0o600);
  try {
    for (let done = 0, some = 1; some > 0; done += some)
      some = native.copyFileRange(source.fd, done, target, done, COPY_AT_ONCE);
    native.fchownat(target, '', status.uid, status.gid, AT_EMPTY_PATH);
    native.fchmodat(target, '', status.mode & 0o7777, AT_EMPTY_PATH);
  } finally {
    closeSync(target);
  }
}

const COPY_AT_ONCE = 64 << 20;

function isRoot(path: string): boolean {
  return /^[/.]*$/.test(path);
}

function missing(path: string): TareError {
  return new TareError('not-found', `there is no ${JSON.stringify(path)} there`);
}
