/**
 * COPY and ADD: files of the context, of a stage or an image, here-documents and downloads, put into the root of an image. Everything is done by
 * descriptor below that root, so neither the image's links nor an exchange in the middle leads out of it.
 * https://docs.docker.com/reference/dockerfile/#copy
 */
import { setImmediate as breathe } from 'node:timers/promises';
import { native } from '../../../kernel/addon.js';
import { S_IFLNK, S_IFMT, S_IFREG } from '../../../kernel/constants/stat.js';
import { TareError } from '../../../kernel/error.js';
import type { FileStatus } from '../../../kernel/native-files.js';
import { copiedAttributes } from '../context/attributes.js';
import { filtersOf } from '../context/digest.js';
import { IgnoreRules } from '../context/ignore.js';
import { resolveIn } from '../context/resolve.js';
import { reopen, type Selected } from '../context/select.js';
import { bytesOf, isDirectory, openName, shown, statusOf } from '../context/tree.js';
import { walk } from '../context/walk.js';
import { sniffArchive, unpackArchive } from './archive.js';
import { copyData } from './data.js';
import { type Facts, putFile, putFolder, putLink, setTime } from './entry.js';
import type { ModeChange } from './mode.js';
import type { Owner } from './owner.js';
import { lookUp, makeFolders, ROOT, type TargetFolder } from './target.js';

export { mayBeArchive, sniffArchive, unpackArchive } from './archive.js';
export { type Download, download } from './download.js';
export { type ModeChange, parseMode } from './mode.js';
export { type Owner, resolveOwner } from './owner.js';

/** What is copied. */
export type CopyItem =
  | { readonly kind: 'selected'; readonly selected: Selected }
  /** A here-document: mode 0644. */
  | { readonly kind: 'content'; readonly name: string; readonly content: Uint8Array }
  /** A download, which lies in a file of this machine: mode 0600. Its name is empty where its address has none. */
  | { readonly kind: 'download'; readonly name: string; readonly path: string; readonly mtimeNs?: bigint };

export interface CopyOptions {
  /** `--chown`. Without it files of stages and images keep their owners where `keepOwners` says so, and all others are root's. */
  readonly owner?: Owner;
  readonly keepOwners?: boolean;
  /** `--chmod`. */
  readonly mode?: ModeChange;
  readonly exclude?: readonly string[];
  /** `--parents`: how a source is written says which folders come along, from `/./` on where it has that. */
  readonly parents?: boolean;
  /** ADD: archives are unpacked. `local`: those that were not downloaded. */
  readonly unpack?: 'none' | 'local' | 'all';
  readonly signal?: AbortSignal;
}

/**
 * Copies all of it. `destination` is absolute in the image; with a slash at its end, or where several items go there, it is a folder.
 * @param root of the image, with whatever is above its layers; may be an O_PATH descriptor
 * @throws TareError `config` for what cannot go where it should, `no-space`; what has been copied by then is left
 */
export async function copyInto(
  root: number,
  items: readonly CopyItem[],
  destination: string,
  options: CopyOptions = {},
): Promise<void> {
  const copy = new Copy(root, destination, options, areSeveral(items));
  try {
    for (const item of items) await copy.add(item);
    copy.setTimes();
  } catch (error) {
    if (error instanceof TareError && ['ENOSPC', 'EDQUOT'].includes(error.syscall?.errno ?? ''))
      throw new TareError('no-space', `no space is left to copy to ${destination}: ${error.message}`, { cause: error });
    throw error;
  }
}

class Copy {
  readonly #root: number;
  readonly #destination: string;
  readonly #options: CopyOptions;
  readonly #isFolder: boolean;
  /** Where the first name of a file with several has gone. */
  readonly #links = new Map<string, { folder: string; name: string }>();
  /** Of the folders of `--parents`, to be set when nothing is put into them any more. */
  readonly #times = new Map<string, bigint>();
  #count = 0;

  constructor(root: number, destination: string, options: CopyOptions, several: boolean) {
    this.#root = root;
    this.#destination = destination;
    this.#options = options;
    this.#isFolder =
      /(?:^|\/)\.?$/.test(destination) || options.parents === true || lookUp(root, destination)?.kind === 'folder';
    if (several && !this.#isFolder)
      throw new TareError(
        'config',
        `several files go to ${JSON.stringify(destination)}, so it must be a folder: write a "/" at its end`,
      );
  }

  async add(item: CopyItem): Promise<void> {
    if (item.kind === 'content') return this.#addContent(item.name, item.content);
    if (item.kind === 'download') return this.#addDownload(item);
    const { selected } = item;
    // Names of one file stay so within a source; sources are copied each for itself.
    this.#links.clear();
    if (isDirectory(selected.status)) return this.#addFolder(selected);
    using file = openName(selected.tree.root, selected.path);
    if (!file)
      throw new TareError('not-found', `${JSON.stringify(shown(selected.written))} was removed while it was copied`);
    if (await this.#unpacked(file.fd, shown(selected.written), this.#options.unpack !== 'none')) return;
    using target = this.#targetOf(selected.written, selected);
    if (!this.#isExcluded(selected)) await this.#file(target, target.name, file.fd, statusOf(file.fd));
  }

  setTimes(): void {
    for (const [path, mtimeNs] of this.#times) {
      using folder = reopen(this.#root, path.split('/'));
      setTime(folder.fd, mtimeNs);
    }
  }

  async #addContent(name: string, content: Uint8Array): Promise<void> {
    using target = this.#targetOf(bytesOf(name));
    const facts = this.#facts({ mode: S_IFREG | 0o644, owner: ROOT, attributes: [] }, false);
    await putFile(target.fd, target.name, facts, (fd) => native.write(fd, content));
  }

  async #addDownload({ name, path, mtimeNs }: Extract<CopyItem, { kind: 'download' }>): Promise<void> {
    const fd = native.open(path, 0);
    try {
      if (await this.#unpacked(fd, name, this.#options.unpack === 'all')) return;
      if (name === '' && this.#isFolder)
        throw new TareError(
          'config',
          `the address ends without the name of a file, so ${JSON.stringify(this.#destination)} cannot be a folder: write what the file is to be called`,
        );
      using target = this.#targetOf(bytesOf(name));
      const facts = { mode: S_IFREG | 0o600, owner: ROOT, attributes: [], ...(mtimeNs !== undefined && { mtimeNs }) };
      const { size } = statusOf(fd);
      await putFile(target.fd, target.name, this.#facts(facts, false), (to) =>
        copyData(fd, to, size, this.#options.signal),
      );
    } finally {
      native.close(fd);
    }
  }

  async #unpacked(fd: number, name: string, wanted: boolean): Promise<boolean> {
    const { unpack = 'none', owner, mode, signal } = this.#options;
    if (unpack === 'none' || !wanted) return false;
    const compression = await sniffArchive(fd, name);
    if (compression === undefined) return false;
    using folder = makeFolders(this.#root, this.#destination, owner ?? ROOT);
    await unpackArchive(fd, compression, {
      root: this.#root,
      folder,
      ...(owner && { owner }),
      ...(mode && { mode }),
      ...(signal && { signal }),
    });
    return true;
  }

  async #addFolder(selected: Selected): Promise<void> {
    const { tree, path } = selected;
    using from = reopen(tree.root, path === '' ? [] : path.split('/'));
    using target = this.#folderFor(selected);
    const levels: Level[] = [{ fd: target.fd, path: target.path, close: () => undefined }];
    const top = () => levels.at(-1) as Level;
    try {
      for (const event of walk(from.fd, filtersOf(selected, this.#options.exclude), tree.hidden)) {
        await this.#pause();
        if (event.kind === 'file') await this.#file(top(), event.name, event.fd, event.status);
        else if (event.kind === 'leave') {
          const level = levels.pop();
          if (level) setTime(level.fd, event.status.mtimeNs);
          level?.close();
        } else {
          const made = putFolder(top().fd, event.name, this.#factsOf(event.fd, event.status));
          levels.push({ fd: made.fd, path: join(top().path, event.name), close: () => made.close() });
        }
      }
      // The folder that the files went to is as old as the one that they come from, so that the layer is the same on any day.
      setTime(target.fd, statusOf(from.fd).mtimeNs);
    } finally {
      for (const level of levels) level.close();
    }
  }

  async #file(target: Pick<TargetFolder, 'fd' | 'path'>, name: string, fd: number, status: FileStatus): Promise<void> {
    const inode = `${status.dev}:${status.ino}`;
    const first = status.nlink > 1 ? this.#links.get(inode) : undefined;
    if (first) {
      using folder = reopen(this.#root, first.folder === '' ? [] : first.folder.split('/'));
      return putLink(target.fd, name, { folder: folder.fd, name: first.name });
    }
    const facts = this.#factsOf(fd, status);
    await putFile(target.fd, name, facts, (to) => copyData(fd, to, status.size, this.#options.signal));
    if (status.nlink > 1) this.#links.set(inode, { folder: target.path, name });
  }

  /** The folder that a file goes to, and its name there. */
  #targetOf(written: string, selected?: Selected): TargetFolder & { readonly name: string } {
    if (selected && this.#options.parents) {
      const parts = selected.kept.split('/');
      return { ...this.#makeParents(parts.slice(0, -1), selected), name: parts.at(-1) ?? '' };
    }
    if (this.#isFolder) return { ...this.#made(this.#destination), name: written.split('/').at(-1) ?? '' };
    // A link to a file stays, and the file it leads to is replaced.
    const path = lookUp(this.#root, this.#destination)?.path ?? this.#destination;
    const parts = path.split('/').filter((part) => part !== '');
    const name = parts.pop();
    if (name === undefined) throw new TareError('internal', 'a file cannot be copied to a place without a name');
    return { ...this.#made(parts.join('/')), name: bytesOf(name) };
  }

  /** What is missing of it has the owner of `--chown`, and the mode of an octal `--chmod`. */
  #made(path: string): TargetFolder {
    return makeFolders(this.#root, path, this.#options.owner ?? ROOT, this.#options.mode?.exact);
  }

  #folderFor(selected: Selected): TargetFolder {
    if (this.#options.parents) return this.#makeParents(selected.kept === '' ? [] : selected.kept.split('/'), selected);
    return this.#made(this.#destination);
  }

  /** Folders as the source has them, below the destination. */
  #makeParents(parts: readonly string[], { tree, written, kept }: Selected): TargetFolder {
    let target = this.#made(this.#destination);
    const before = written.slice(0, written.length - kept.length);
    for (const [index, name] of parts.entries()) {
      using outer = target;
      using source = resolveIn(tree.root, before + parts.slice(0, index + 1).join('/'));
      if (!source)
        throw new TareError('not-found', `${JSON.stringify(shown(written))} was removed while it was copied`);
      const status = statusOf(source.fd);
      const made = putFolder(outer.fd, name, this.#factsOf(source.fd, status));
      target = { fd: made.fd, path: join(outer.path, name), [Symbol.dispose]: () => made.close() };
      this.#times.set(target.path, status.mtimeNs);
    }
    return target;
  }

  /** A file that is named itself, or found by a pattern: by its name, or by its whole path. */
  #isExcluded({ written }: Selected): boolean {
    const rules = IgnoreRules.of(this.#options.exclude ?? [], '--exclude');
    const path = shown(written);
    return rules.check(path.slice(path.lastIndexOf('/') + 1)).ignored || rules.checkWhole(path).ignored;
  }

  #factsOf(fd: number, status: FileStatus): Facts {
    const isLink = (status.mode & S_IFMT) === S_IFLNK;
    const facts: Facts = {
      mode: status.mode,
      owner: this.#options.keepOwners ? { uid: status.uid, gid: status.gid } : ROOT,
      mtimeNs: status.mtimeNs,
      attributes: copiedAttributes(fd),
      ...(isLink && { target: native.readlinkat(fd, '') }),
      major: status.rdevMajor,
      minor: status.rdevMinor,
    };
    return isLink ? { ...facts, owner: this.#options.owner ?? facts.owner } : this.#facts(facts, isDirectory(status));
  }

  #facts(facts: Facts, isFolder: boolean): Facts {
    const { owner, mode } = this.#options;
    const type = facts.mode & S_IFMT;
    return {
      ...facts,
      owner: owner ?? facts.owner,
      mode: mode ? type | mode(facts.mode & 0o7777, isFolder) : facts.mode,
    };
  }

  async #pause(): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#count += 1;
    if (this.#count % 128 === 0) await breathe();
  }
}

/** Folders give their content to the same place; files would be written one over the other. */
function areSeveral(items: readonly CopyItem[]): boolean {
  const isFolder = (item: CopyItem) => item.kind === 'selected' && isDirectory(item.selected.status);
  return items.length > 1 && !items.every(isFolder);
}

interface Level {
  readonly fd: number;
  readonly path: string;
  close(): void;
}

function join(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
