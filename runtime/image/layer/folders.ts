/**
 * The folders of a layer that is being written, by descriptor. A folder is found from the layer's root, and never outside of it: the kernel
 * resolves a path without symbolic links (openat2), and what has some is walked a component at a time, links being followed within the root.
 * A folder's times are set when its descriptor is let go, for each file that is made in it changes them. openat2(2)
 */

import { native } from '../../kernel/addon.js';
import { PATH_MAX } from '../../kernel/constants/files.js';
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../../kernel/constants/open.js';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../../kernel/constants/stat.js';
import { isErrno } from '../../kernel/error.js';
import { closeAll } from '../../kernel/fd.js';
import { joinName, kernelName, refused } from './names.js';
import { isWhiteout } from './whiteout.js';

/** Good until as many others as may be open have been asked for: to be asked for again by its path when something else was resolved meanwhile. */
export interface Folder {
  /** From the root, without symbolic links; '' is the root. */
  readonly path: string;
  /** O_PATH; belongs to the `Folders`. */
  readonly fd: number;
  /** To be set when it is let go. */
  times: { readonly atimeNs: bigint; readonly mtimeNs: bigint };
}

export const BELOW = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
const OPEN_FOLDER = O_PATH | O_DIRECTORY | O_NOFOLLOW;
/** Descriptors held at a time. Archives go through folders in order, so few are used again after more than their depth of others. */
const MAX_OPEN = 64;
/** As the kernel: path_resolution(7). */
const MAX_LINKS = 40;

export interface FolderHooks {
  /** A folder that the layer has not named has been made: `path`. */
  made(path: string): void;
  /** A symbolic link has been followed, whose target has so many components. */
  followed(components: number): void;
  /** One takes the place of a whiteout: what lies below it does not shine through. */
  uncovered(folder: Folder): void;
}

export class Folders {
  readonly root: Folder;
  readonly #open = new Map<string, Folder>();
  readonly #hooks: FolderHooks;

  constructor(target: number, hooks: FolderHooks) {
    this.#hooks = hooks;
    this.root = { path: '', fd: target, times: timesOf(target) };
  }

  /** The folder, if it is there, is one, and no symbolic link leads to it. The kernel looks. */
  find(path: string): Folder | undefined {
    if (path === '') return this.root;
    const known = this.#known(path);
    if (known) return known;
    try {
      return this.#keep(path, native.openat2(this.root.fd, kernelName(path), OPEN_FOLDER, 0, BELOW));
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR')) return undefined;
      throw error;
    }
  }

  /**
   * The folder that `path` leads to, symbolic links followed within the root. Missing ones are made, if `make`.
   * @returns undefined when it is not there
   * @throws TareError `protocol` when something on the way is no folder
   */
  resolve(path: string, entry: Buffer, make: boolean): Folder | undefined {
    return this.find(path) ?? this.#walk(path, entry, make);
  }

  /** A folder that has just been made in `parent`, or is there: its descriptor. */
  enter(parent: Folder, base: string): Folder {
    const path = joinName(parent.path, base);
    return this.#known(path) ?? this.#keep(path, native.openat2(parent.fd, kernelName(base), OPEN_FOLDER, 0, BELOW));
  }

  /** A folder has been removed: it, and what was below it, is no longer there. */
  forget(path: string): void {
    const gone = [...this.#open.values()].filter((folder) => `${folder.path}/`.startsWith(`${path}/`));
    for (const folder of gone) this.#open.delete(folder.path);
    closeAll(gone.map((folder) => folder.fd));
  }

  /** Sets the times of all that are open, and lets them go. The root's are set by `finish` alone. */
  close(): void {
    const all = [...this.#open.values()];
    this.#open.clear();
    try {
      for (const folder of all) setTimes(folder);
    } finally {
      closeAll(all.map((folder) => folder.fd));
    }
  }

  finish(): void {
    this.close();
    setTimes(this.root);
  }

  #known(path: string): Folder | undefined {
    const known = this.#open.get(path);
    if (known) {
      this.#open.delete(path); // to the end: what was used last is let go last
      this.#open.set(path, known);
    }
    return known;
  }

  #keep(path: string, fd: number): Folder {
    const folder = { path, fd, times: timesOf(fd) };
    this.#open.set(path, folder);
    if (this.#open.size > MAX_OPEN) {
      const [oldest] = this.#open.values() as MapIterator<Folder> & Iterable<Folder>;
      if (oldest) {
        this.#open.delete(oldest.path);
        try {
          setTimes(oldest);
        } finally {
          native.close(oldest.fd);
        }
      }
    }
    return folder;
  }

  /** By hand. `way` is where we are, without links; `ahead` what is still to go. */
  #walk(path: string, entry: Buffer, make: boolean): Folder | undefined {
    let way: string[] = [];
    const ahead = path.split('/').reverse();
    let [links, steps] = [0, 0];
    for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
      // 40 links of 4 kB each would be 80,000 steps for one name; the kernel takes a path of half as many as PATH_MAX.
      if (++steps > PATH_MAX) throw refused(entry, `lies below symbolic links of more than ${PATH_MAX} components`);
      if (next === '' || next === '.') continue;
      if (next === '..') {
        way.pop(); // at the root it stays there
        continue;
      }
      const parent = this.find(way.join('/'));
      if (!parent) return undefined;
      const status = native.fstatat(parent.fd, kernelName(next), AT_SYMLINK_NOFOLLOW);
      const type = (status?.mode ?? 0) & S_IFMT;
      if (type === S_IFLNK) {
        if (++links > MAX_LINKS) throw refused(entry, 'lies below a symbolic link that leads nowhere');
        const target = native.readlinkat(parent.fd, kernelName(next)).toString('latin1');
        if (target.startsWith('/')) way = [];
        const through = target.split('/').reverse();
        this.#hooks.followed(through.length);
        ahead.push(...through);
        continue;
      }
      const whiteout = status !== null && isWhiteout(status);
      if (status && type !== S_IFDIR && !whiteout) throw refused(entry, 'lies below something that is no folder');
      if (!status || whiteout) {
        if (!make) return undefined;
        this.#make(parent, next, whiteout);
      }
      way.push(next);
      if (way.length > 2048) throw refused(entry, 'lies below a symbolic link that leads too deep');
    }
    return this.find(way.join('/'));
  }

  /** One that the layer does not name, or not yet. */
  #make(parent: Folder, base: string, whiteout: boolean): void {
    const name = kernelName(base);
    if (whiteout) native.unlinkat(parent.fd, name, 0);
    native.mkdirat(parent.fd, name, 0o755);
    native.fchmodat(parent.fd, name, 0o755, AT_SYMLINK_NOFOLLOW); // whatever the umask
    const folder = this.enter(parent, base);
    folder.times = { atimeNs: 0n, mtimeNs: 0n };
    this.#hooks.made(folder.path);
    if (whiteout) this.#hooks.uncovered(folder);
  }
}

function timesOf(fd: number): Folder['times'] {
  const status = native.fstatat(fd, '', AT_EMPTY_PATH);
  return { atimeNs: status?.atimeNs ?? 0n, mtimeNs: status?.mtimeNs ?? 0n };
}

function setTimes({ fd, times }: Folder): void {
  native.utimensat(fd, '', times.atimeNs, times.mtimeNs, AT_EMPTY_PATH);
}
