/** A layer being written: entries go in, one after the other; what a later one says of a name replaces what an earlier one said. */

import { native } from '../../kernel/addon.js';
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
} from '../../kernel/constants/open.js';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT } from '../../kernel/constants/stat.js';
import { isErrno } from '../../kernel/error.js';
import type { Name } from '../../kernel/native-files.js';
import { removeTree } from '../../kernel/tree.js';
import { Attributes } from './attributes.js';
import type { Meter } from './budget.js';
import { BELOW, type Folder, Folders } from './folders.js';
import { joinName, kernelName, OPAQUE, refused, splitEntryName, splitLinkName, WHITEOUT } from './names.js';
import type { TarEntry } from './tar/types.js';
import { isWhiteout, makeOpaque, makeWhiteout, type OverlayFlavour } from './whiteout.js';

/** What must be done once the layers below are there. Names are latin1, a character a byte. */
export interface Unsettled {
  /** Folders that no entry names: owner, mode, times and attributes are those of the layers below. Parents first; '' is the root. */
  readonly folders: readonly string[];
  /** Hard links to what this layer does not have: an empty file stands in for them. */
  readonly links: readonly UnsettledLink[];
}

export interface UnsettledLink {
  readonly path: string;
  /** In the layers below. */
  readonly target: string;
  /** Of the file that stands in: another one has replaced it. */
  readonly ino: bigint;
}

export interface Skipped {
  readonly devices: number;
  /** Attributes of the overlay itself, or such as this file system or user cannot have. */
  readonly xattrs: number;
}

const NODE_TYPES = { character: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const;

export class LayerWriter {
  readonly #folders: Folders;
  readonly #meter: Meter;
  readonly #overlay: OverlayFlavour;
  readonly #skipDevices: boolean;
  readonly #unnamed = new Set<string>(['']);
  readonly #links = new Map<string, UnsettledLink>();
  readonly #attributes: Attributes;
  #skippedDevices = 0;

  constructor(
    target: number,
    meter: Meter,
    { overlay = 'trusted', devices = 'make' }: { overlay?: OverlayFlavour; devices?: 'make' | 'skip' },
  ) {
    this.#meter = meter;
    this.#attributes = new Attributes(meter);
    this.#overlay = overlay;
    this.#skipDevices = devices === 'skip';
    this.#folders = new Folders(target, {
      made: (path) => {
        meter.addEntry();
        meter.addUnsettled(path);
        this.#unnamed.add(path);
      },
      followed: (components) => meter.addLinkSteps(components),
      uncovered: (folder) => makeOpaque(folder.fd, this.#overlay),
    });
  }

  /** @throws TareError `protocol`, or of the system call that failed */
  async add(entry: TarEntry): Promise<void> {
    const split = splitEntryName(entry.name, this.#meter.budget);
    if (!split) return;
    const { parent, base } = split;
    if (base === '') return this.#nameFolder(this.#folders.root, entry);
    if (base.startsWith(WHITEOUT)) return this.#addWhiteout(parent, base, entry);
    const folder = this.#parent(parent, entry);
    if (entry.type === 'directory') return this.#addFolder(folder, base, entry);
    if (entry.type === 'file') return this.#addFile(folder, base, entry);
    if (entry.type === 'link') return this.#addLink(folder, base, entry);
    this.#addNode(folder, base, entry);
  }

  finish(): { unsettled: Unsettled; skipped: Skipped } {
    this.#folders.finish();
    const folders = [...this.#unnamed].sort((a, b) => depth(a) - depth(b));
    const skipped = { devices: this.#skippedDevices, xattrs: this.#attributes.skippedXattrs };
    return { unsettled: { folders, links: [...this.#links.values()] }, skipped };
  }

  close(): void {
    this.#folders.close();
  }

  #parent(path: string, entry: TarEntry): Folder {
    const folder = this.#folders.resolve(path, entry.name, true);
    if (!folder) throw refused(entry.name, 'lies in a folder that is gone');
    return folder;
  }

  #addFolder(parent: Folder, base: string, entry: TarEntry): void {
    const name = kernelName(base);
    let whiteout = false;
    try {
      native.mkdirat(parent.fd, name, 0o700);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      const status = native.fstatat(parent.fd, name, AT_SYMLINK_NOFOLLOW);
      if (status === null || (status.mode & S_IFMT) !== S_IFDIR) {
        whiteout = status !== null && isWhiteout(status);
        this.#remove(parent, base);
        native.mkdirat(parent.fd, name, 0o700);
      }
    }
    const folder = this.#folders.enter(parent, base);
    if (whiteout) makeOpaque(folder.fd, this.#overlay);
    this.#nameFolder(folder, entry);
  }

  /** Its attributes; its times come with the last file in it. */
  #nameFolder(folder: Folder, entry: TarEntry): void {
    if (entry.type !== 'directory') throw refused(entry.name, 'stands for the root and is no folder');
    this.#unnamed.delete(folder.path);
    native.fchownat(folder.fd, '', entry.uid, entry.gid, AT_EMPTY_PATH);
    native.fchmodat(folder.fd, '', entry.mode, AT_EMPTY_PATH);
    this.#attributes.setXattrs(folder.fd, entry);
    folder.times = { atimeNs: entry.atimeNs ?? entry.mtimeNs, mtimeNs: entry.mtimeNs };
  }

  async #addFile(parent: Folder, base: string, entry: TarEntry): Promise<void> {
    const fd = this.#replacing(parent, base, (name) =>
      native.openat2(parent.fd, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600, BELOW),
    );
    try {
      if (entry.sparse) await this.#writeSparse(fd, entry);
      else if (entry.stored > 0) for await (const chunk of entry.chunks()) native.write(fd, chunk);
      this.#attributes.set(fd, '', AT_EMPTY_PATH, entry);
    } finally {
      native.close(fd);
    }
  }

  async #writeSparse(fd: number, entry: TarEntry): Promise<void> {
    this.#meter.addSparse(entry.size);
    native.ftruncate(fd, entry.size);
    const extents = (entry.sparse ?? []).values();
    let { offset, size } = { offset: 0, size: 0 };
    for await (const chunk of entry.chunks())
      for (let rest = chunk; rest.length > 0; ) {
        while (size === 0) {
          const next = extents.next();
          if (next.done) throw refused(entry.name, 'has more data than its map has room for');
          ({ offset, size } = next.value);
        }
        const part = rest.subarray(0, size);
        native.write(fd, part, offset);
        offset += part.length;
        size -= part.length;
        rest = rest.subarray(part.length);
      }
  }

  /** What it leads to is found as a parent is, and not followed itself: a link to a symbolic link is one to the link. */
  #addLink(folder: Folder, base: string, entry: TarEntry): void {
    const target = splitLinkName(entry.linkName, entry.name, this.#meter.budget);
    const from = this.#folders.resolve(target.parent, entry.name, false);
    // On the way there the first may have been let go.
    const parent = this.#parent(folder.path, entry);
    const targetPath = joinName(from?.path ?? target.parent, target.base);
    const status = from ? native.fstatat(from.fd, kernelName(target.base), AT_SYMLINK_NOFOLLOW) : null;
    if (status && (status.mode & S_IFMT) === S_IFDIR) throw refused(entry.name, 'is a hard link to a folder');
    if (status && isWhiteout(status)) throw refused(entry.name, 'is a hard link to what the layer removes');
    const path = joinName(parent.path, base);
    if (path === targetPath) {
      if (status) return; // to itself
      throw refused(entry.name, 'is a hard link to itself');
    }
    // The folder would be gone, and its descriptor let go, before the link is made.
    if (status && targetPath.startsWith(`${path}/`))
      throw refused(entry.name, 'is a hard link to what lies in the folder that it replaces');
    const known = this.#links.get(targetPath);
    const standsIn = known !== undefined && status !== null && known.ino === status.ino;
    if (from && status && !standsIn) {
      this.#replacing(parent, base, (name) => native.linkat(from.fd, kernelName(target.base), parent.fd, name, 0));
      return;
    }
    const below = standsIn ? known.target : targetPath;
    this.#meter.addUnsettled(path, below);
    const fd = this.#replacing(parent, base, (name) =>
      native.openat2(parent.fd, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0, BELOW),
    );
    try {
      const ino = native.fstatat(fd, '', AT_EMPTY_PATH)?.ino ?? 0n;
      this.#links.set(path, { path, target: below, ino });
    } finally {
      native.close(fd);
    }
  }

  #addNode(parent: Folder, base: string, entry: TarEntry): void {
    if (entry.type === 'symlink') {
      if (entry.linkName.length === 0) throw refused(entry.name, 'is a symbolic link to nothing');
      this.#replacing(parent, base, (name) => native.symlinkat(entry.linkName, parent.fd, name));
    } else {
      const type = NODE_TYPES[entry.type as keyof typeof NODE_TYPES];
      const device = type !== S_IFIFO;
      if (device && (entry.major < 0 || entry.major > 0xfff || entry.minor < 0 || entry.minor > 0xfffff))
        throw refused(entry.name, `is the impossible device ${entry.major}:${entry.minor}`);
      // It would remove a file of the layers below without being called a whiteout.
      if (type === S_IFCHR && entry.major === 0 && entry.minor === 0)
        throw refused(entry.name, 'is the device 0:0, which means a removed file');
      if (device && this.#skipDevices) {
        this.#skippedDevices++;
        return;
      }
      const [major, minor] = device ? [entry.major, entry.minor] : [0, 0];
      this.#replacing(parent, base, (name) => native.mknodat(parent.fd, name, type | 0o600, major, minor));
    }
    this.#attributes.set(parent.fd, kernelName(base), AT_SYMLINK_NOFOLLOW, entry);
  }

  /** Hides what the layers below have; never what this layer itself has. */
  #addWhiteout(parent: string, base: string, entry: TarEntry): void {
    const folder = this.#folders.find(parent) ?? this.#parent(parent, entry);
    if (folder.path !== parent) throw refused(entry.name, 'is a whiteout below a symbolic link');
    if (base === OPAQUE) {
      makeOpaque(folder.fd, this.#overlay);
      return;
    }
    const hidden = base.slice(WHITEOUT.length);
    const status = native.fstatat(folder.fd, kernelName(hidden), AT_SYMLINK_NOFOLLOW);
    if (status === null) makeWhiteout(folder.fd, kernelName(hidden));
    else if ((status.mode & S_IFMT) === S_IFDIR) makeOpaque(this.#folders.enter(folder, hidden).fd, this.#overlay);
  }

  /** Makes a file; if there is one of that name, in its place. */
  #replacing<T>(parent: Folder, base: string, make: (name: Name) => T): T {
    const name = kernelName(base);
    try {
      return make(name);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      this.#remove(parent, base);
      return make(name);
    }
  }

  #remove(parent: Folder, base: string): void {
    const path = joinName(parent.path, base);
    if (removeTree(parent.fd, kernelName(base))) this.#folders.forget(path);
    this.#unnamed.delete(path);
    this.#links.delete(path);
  }
}

function depth(path: string): number {
  return path === '' ? 0 : path.split('/').length;
}
