/**
 * The layers below, as overlayfs shows them: of a name the uppermost layer that has it counts; folders of several are one, down to a whiteout
 * or an opaque one. Looked up without mounting anything. Documentation/filesystems/overlayfs.rst
 */
import { native } from '../../kernel/addon.js';
import { PATH_MAX } from '../../kernel/constants/files.js';
import { AT_SYMLINK_NOFOLLOW, O_DIRECTORY, O_NOFOLLOW, O_PATH } from '../../kernel/constants/open.js';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../../kernel/constants/stat.js';
import { closeAll } from '../../kernel/fd.js';
import type { FileStatus } from '../../kernel/native-files.js';
import type { Meter } from './budget.js';
import { BELOW } from './folders.js';
import { joinName, kernelName, refused } from './names.js';
import { isOpaque, isWhiteout, type OverlayFlavour } from './whiteout.js';

/** A folder, or a name in one; the descriptor is good until the lookup is over. */
export type Found =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'folder'; readonly fd: number }
  | { readonly kind: 'other'; readonly dirfd: number; readonly name: string; readonly status: FileStatus };

export const MAX_LINKS = 40;

export class Lowers {
  constructor(
    private readonly layers: readonly number[],
    private readonly overlay: OverlayFlavour,
    private readonly meter: Meter,
  ) {}

  /** What is at `path`; a symbolic link on the way to it is nothing. */
  look<T>(path: string, use: (found: Found) => T): T {
    const opened: number[] = [];
    try {
      return use(this.#walk(path, opened));
    } finally {
      closeAll(opened);
    }
  }

  /**
   * The path without symbolic links of the folder that `path` leads to; undefined when it leads to none.
   * @throws TareError `protocol` when links make it too long, or the layer has gone along too many
   */
  folderAt(path: string): string | undefined {
    const ahead = path.split('/').reverse();
    // One that needs no walk, if its components are all names.
    if (!ahead.some((part) => ['', '.', '..'].includes(part)) && this.look(path, (found) => found.kind === 'folder'))
      return path;
    let way = '';
    let [links, steps] = [0, 0];
    for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
      if (++steps > PATH_MAX) throw refused(path, `leads along symbolic links of more than ${PATH_MAX} components`);
      if (next === '' || next === '.') continue;
      if (next === '..') {
        way = parentOf(way);
        continue;
      }
      const here = joinName(way, next);
      this.meter.addLinkSteps(here.split('/').length * this.layers.length); // each look begins at the root of each
      const link = this.look(here, (found) => linkText(found));
      if (link === undefined) return undefined;
      if (link === null) {
        way = here;
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      if (link.startsWith('/')) way = '';
      ahead.push(...link.split('/').reverse());
    }
    return way;
  }

  #walk(path: string, opened: number[]): Found {
    let folders = this.layers;
    const parts = path === '' ? [] : path.split('/');
    for (const [i, part] of parts.entries()) {
      const name = kernelName(part);
      const next: number[] = [];
      for (const dirfd of folders) {
        const status = native.fstatat(dirfd, name, AT_SYMLINK_NOFOLLOW);
        if (!status) continue;
        if (isWhiteout(status)) break;
        if ((status.mode & S_IFMT) !== S_IFDIR) {
          if (next.length === 0 && i === parts.length - 1) return { kind: 'other', dirfd, name: part, status };
          break;
        }
        const fd = native.openat2(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, BELOW);
        opened.push(fd);
        next.push(fd);
        if (isOpaque(fd, this.overlay)) break;
      }
      folders = next;
    }
    return folders[0] === undefined ? { kind: 'nothing' } : { kind: 'folder', fd: folders[0] };
  }
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

/** null of a folder, undefined of what is neither. */
function linkText(found: Found): string | null | undefined {
  if (found.kind === 'folder') return null;
  if (found.kind === 'nothing' || (found.status.mode & S_IFMT) !== S_IFLNK) return undefined;
  return native.readlinkat(found.dirfd, kernelName(found.name)).toString('latin1');
}
