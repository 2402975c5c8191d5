/**
 * Where copies go: folders below the root of an image, by descriptor. Links of the image on the way are followed as if its root were `/`, so a
 * hostile one leads nowhere else; what is missing is made. openat2(2); CVE-2018-15664 is what happens otherwise
 */
import { native } from '../../../kernel/addon.js';
import { AT_EMPTY_PATH } from '../../../kernel/constants/open.js';
import { TareError } from '../../../kernel/error.js';
import type { OwnedFd } from '../../../kernel/fd.js';
import { type Resolved, resolveIn } from '../context/resolve.js';
import { reopen } from '../context/select.js';
import { asName, bytesOf, isDirectory, openName, shown, statusOf } from '../context/tree.js';
import type { Owner } from './owner.js';

/** A folder of the image that is copied to. */
export interface TargetFolder extends Disposable {
  /** In the image, without links. */
  readonly path: string;
  /** Open for reading. */
  readonly fd: number;
}

export const ROOT: Owner = { uid: 0, gid: 0 };

/** The folder, made with all above it where they are missing: with the mode and the owner. @throws TareError `config` where something else is */
export function makeFolders(root: number, path: string, owner: Owner, mode = 0o755): TargetFolder {
  const onMissing = (folder: number, name: string) => {
    native.mkdirat(folder, asName(name), 0o700);
    using made = openName(folder, name);
    // The mask of this process has no say, and the owner is that of the copy.
    if (made && isDirectory(statusOf(made.fd))) {
      native.fchownat(made.fd, '', owner.uid, owner.gid, AT_EMPTY_PATH);
      native.fchmodat(made.fd, '', mode, AT_EMPTY_PATH);
    }
  };
  using found = resolveIn(root, bytesOf(path), { onMissing });
  if (found && isDirectory(statusOf(found.fd))) return openTarget(root, found);
  throw new TareError('config', `${JSON.stringify(path)} is, or lies below, something that is no folder in the image`);
}

/** What is at the path, links followed: a folder, something else, or nothing. */
export function lookUp(
  root: number,
  path: string,
): { readonly kind: 'folder' | 'other'; readonly path: string } | undefined {
  using found = resolveIn(root, bytesOf(path));
  if (!found) return undefined;
  return { kind: isDirectory(statusOf(found.fd)) ? 'folder' : 'other', path: shown(found.path.join('/')) };
}

function openTarget(root: number, { path }: Resolved): TargetFolder {
  const fd: OwnedFd = reopen(root, path);
  return { path: path.join('/'), fd: fd.fd, [Symbol.dispose]: () => fd.close() };
}
