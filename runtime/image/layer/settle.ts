/**
 * What a layer leaves open until the layers below it are there: folders that it has something in but does not name, and hard links to files that
 * it does not have. The first are as they are below; and where below a symbolic link leads elsewhere, what was meant for it goes there. The
 * second are copied up, as overlayfs itself would.
 */
import { native } from '../../kernel/addon.js';
import { RENAME_NOREPLACE } from '../../kernel/constants/files.js';
import { AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW } from '../../kernel/constants/open.js';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../../kernel/constants/stat.js';
import { isErrno } from '../../kernel/error.js';
import { entriesOf, openFolder } from '../../kernel/folder.js';
import { removeTree } from '../../kernel/tree.js';
import { type Budget, DEFAULT_BUDGET, Meter } from './budget.js';
import { copyAttributes, copyFile } from './copy-up.js';
import { type Folder, Folders } from './folders.js';
import type { Unsettled, UnsettledLink } from './layer-writer.js';
import { Lowers, parentOf } from './lowers.js';
import { joinName, kernelName, refused } from './names.js';
import { isOpaque, type OverlayFlavour } from './whiteout.js';

export interface SettleOptions {
  /** As it was applied; `trusted` unless told. */
  readonly overlay?: OverlayFlavour;
  /** Of it `linkSteps` counts here. */
  readonly budget?: Partial<Budget>;
}

/**
 * @param target the layer's folder: an O_PATH descriptor
 * @param lowers the folders of the layers below, the uppermost first, settled themselves
 * @throws TareError `protocol` for a hard link to what nobody has, and links that lead too far; `no-space`, `system-call`
 */
export function settleLayer(
  unsettled: Unsettled,
  target: number,
  lowers: readonly number[],
  { overlay = 'trusted', budget }: SettleOptions = {},
): void {
  const settling = new Settling(target, lowers, overlay, new Meter({ ...DEFAULT_BUDGET, ...budget }));
  try {
    for (const path of unsettled.folders) settling.settleFolder(path);
    for (const link of unsettled.links) settling.settleLink(link);
    settling.folders.finish();
  } finally {
    settling.folders.close();
  }
}

class Settling {
  readonly folders: Folders;
  readonly #overlay: OverlayFlavour;
  readonly #below: Lowers;
  /** The layer itself over those below. */
  readonly #merged: Lowers;
  /** What has gone elsewhere: from, to. */
  readonly #moved: [string, string][] = [];
  /** Of each file below that has been copied up, where to. */
  readonly #copies = new Map<string, string>();

  constructor(target: number, lowers: readonly number[], overlay: OverlayFlavour, meter: Meter) {
    this.#overlay = overlay;
    this.#below = new Lowers(lowers, overlay, meter);
    this.#merged = new Lowers([target, ...lowers], overlay, meter);
    this.folders = new Folders(target, {
      made: (path) => this.#likeBelow(path),
      followed: (components) => meter.addLinkSteps(components),
      uncovered: () => undefined,
    });
  }

  settleFolder(unmoved: string): void {
    const path = this.#whereNow(unmoved);
    if (!this.folders.find(path) || this.#isCovered(path)) return;
    if (this.#likeBelow(path)) return;
    const text = this.#below.look(path, (found) =>
      found.kind === 'other' && (found.status.mode & S_IFMT) === S_IFLNK
        ? native.readlinkat(found.dirfd, kernelName(found.name)).toString('latin1')
        : undefined,
    );
    if (text !== undefined) this.#moveThrough(path, text);
  }

  settleLink({ path: unmoved, target, ino }: UnsettledLink): void {
    const path = this.#whereNow(unmoved);
    const base = path.slice(path.lastIndexOf('/') + 1);
    const name = kernelName(base);
    const parent = this.folders.find(parentOf(path));
    // Something that came later in the archive has replaced it.
    if (!parent || native.fstatat(parent.fd, name, AT_SYMLINK_NOFOLLOW)?.ino !== ino) return;
    const copy = this.#copies.get(target);
    if (copy !== undefined) {
      const from = this.folders.find(parentOf(copy));
      const to = this.folders.find(parent.path);
      if (!from || !to) throw refused(path, 'lies in a folder that is gone');
      native.unlinkat(to.fd, name, 0);
      native.linkat(from.fd, kernelName(copy.slice(copy.lastIndexOf('/') + 1)), to.fd, name, 0);
      return;
    }
    const folder = this.#below.folderAt(parentOf(target));
    const place = joinName(folder ?? '', target.slice(target.lastIndexOf('/') + 1));
    this.#below.look(place, (found) => {
      if (folder === undefined || found.kind === 'nothing')
        throw refused(path, 'is a hard link to a file that neither its layer nor those below have');
      if (found.kind === 'folder') throw refused(path, 'is a hard link to a folder');
      native.unlinkat(parent.fd, name, 0);
      copyFile(found.dirfd, kernelName(found.name), found.status, parent.fd, name);
    });
    this.#copies.set(target, path);
  }

  /** Its attributes become those of the folder below. False when there is none. */
  #likeBelow(path: string): boolean {
    return this.#below.look(path, (found) => {
      const folder = this.folders.find(path);
      if (!folder) return false;
      if (found.kind === 'folder') folder.times = copyAttributes(found.fd, folder.fd);
      else if (path === '') {
        native.fchmodat(folder.fd, '', 0o755, AT_EMPTY_PATH); // under everything: no layer says what the root is like
        folder.times = { atimeNs: 0n, mtimeNs: 0n };
      }
      return found.kind === 'folder';
    });
  }

  /** Whether what is below does not show here: a folder above it is opaque. */
  #isCovered(path: string): boolean {
    for (let above = path; above !== ''; ) {
      above = parentOf(above);
      const folder = this.folders.find(above);
      if (folder && isOpaque(folder.fd, this.#overlay)) return true;
    }
    return false;
  }

  /** `path` is a symbolic link below: what the layer has in it belongs to where the link leads. Where it leads nowhere the folder stays. */
  #moveThrough(path: string, text: string): void {
    const full = text.startsWith('/') ? text : joinName(parentOf(path), text);
    const to = this.#merged.folderAt(full);
    if (to === undefined || `${to}/`.startsWith(`${path}/`)) return;
    const into = this.folders.resolve(to, Buffer.from(path, 'latin1'), true);
    const from = this.folders.find(path);
    if (!into || !from) return;
    this.#mergeInto(from, into);
    this.#moved.push([path, to]);
    this.folders.forget(path);
    const parent = this.folders.find(parentOf(path));
    if (parent) native.unlinkat(parent.fd, kernelName(path.slice(path.lastIndexOf('/') + 1)), AT_REMOVEDIR);
  }

  /** Moves what is in one folder into another; of two folders of one name the second takes what the first has. */
  #mergeInto(from: Folder, into: Folder): void {
    const [fromPath, intoPath] = [from.path, into.path];
    for (const { name, isFolder } of listFolder(from.fd)) {
      const base = name.toString('latin1');
      const [source, place] = [this.folders.find(fromPath), this.folders.find(intoPath)];
      if (!source || !place) throw refused(fromPath, 'is a folder that is gone');
      this.folders.forget(joinName(fromPath, base));
      try {
        native.renameat2(source.fd, name, place.fd, name, RENAME_NOREPLACE);
        continue;
      } catch (error) {
        if (!isErrno(error, 'EEXIST')) throw error;
      }
      const [below, above] = [this.folders.find(joinName(fromPath, base)), this.folders.find(joinName(intoPath, base))];
      if (isFolder && below && above) {
        this.#mergeInto(below, above);
        this.folders.forget(joinName(fromPath, base));
        native.unlinkat((this.folders.find(fromPath) as Folder).fd, name, AT_REMOVEDIR);
        continue;
      }
      this.folders.forget(joinName(intoPath, base));
      const [again, there] = [this.folders.find(fromPath) as Folder, this.folders.find(intoPath) as Folder];
      removeTree(there.fd, name);
      native.renameat2(again.fd, name, there.fd, name, RENAME_NOREPLACE);
    }
  }

  #whereNow(path: string): string {
    let now = path;
    for (const [from, to] of this.#moved)
      if (`${now}/`.startsWith(`${from}/`)) now = joinName(to, now.slice(from.length + 1)).replace(/\/$/, '');
    return now;
  }
}

/** All of it, as the folder changes while it is moved. */
function listFolder(fd: number): { name: Buffer; isFolder: boolean }[] {
  using folder = openFolder(fd, '.');
  return [...entriesOf(folder.fd)].map(({ name }) => {
    const mode = native.fstatat(folder.fd, name, AT_SYMLINK_NOFOLLOW)?.mode ?? 0;
    return { name, isFolder: (mode & S_IFMT) === S_IFDIR };
  });
}
