/**
 * What a copy depends on, as one digest: names, types, modes, contents, links, extended attributes, and owners where they are kept; not times,
 * so that a fresh checkout of the same files finds what was built before. Contents are read once, and known again by inode and change time.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import { native } from '../../../kernel/addon.js';
import { S_IFLNK, S_IFMT, S_IFREG } from '../../../kernel/constants/stat.js';
import type { FileStatus } from '../../../kernel/native-files.js';
import { OPEN_UNTRUSTED } from '../../../kernel/read-regular.js';
import { copiedAttributes } from './attributes.js';
import { IgnoreRules } from './ignore.js';
import { reopen, type Selected } from './select.js';
import { isDirectory, openName, statusOf } from './tree.js';
import { type Filter, walk } from './walk.js';

/** Digests of contents that were read before, by what changes whenever the content does. */
export interface FileDigests {
  get(key: string): string | undefined;
  set(key: string, digest: string): void;
}

export interface DigestOptions {
  /** `--exclude`. */
  readonly exclude?: readonly string[];
  /** Owners count: they are kept by the copy. */
  readonly owners?: boolean;
  readonly known?: FileDigests;
  readonly signal?: AbortSignal;
}

/** @returns hexadecimal sha256 @throws TareError `not-found` when a file goes while it is read */
export async function digestSelected(selected: readonly Selected[], options: DigestOptions = {}): Promise<string> {
  const sum = new Summary(options);
  for (const one of selected) await sum.add(one);
  return sum.digest();
}

/** How a selection is walked: what is ignored, and what is excluded. */
export function filtersOf({ tree, path }: Selected, exclude: readonly string[] = []): Filter[] {
  return [
    ...(tree.ignore ? [{ rules: tree.ignore, base: path }] : []),
    ...(exclude.length > 0 ? [{ rules: IgnoreRules.of(exclude, '--exclude'), base: '' }] : []),
  ];
}

class Summary {
  readonly #hash: Hash = createHash('sha256');
  readonly #options: DigestOptions;
  /** Hard links: the first name of each file that has several. */
  readonly #links = new Map<string, number>();
  #count = 0;

  constructor(options: DigestOptions) {
    this.#options = options;
  }

  digest(): string {
    return this.#hash.digest('hex');
  }

  async add(selected: Selected): Promise<void> {
    this.#record(['source', selected.written, selected.kept]);
    if (isDirectory(selected.status)) {
      using folder = reopen(selected.tree.root, selected.path === '' ? [] : selected.path.split('/'));
      await this.#entry('', statusOf(folder.fd), folder.fd);
      for (const event of walk(folder.fd, filtersOf(selected, this.#options.exclude), selected.tree.hidden))
        if (event.kind !== 'leave') await this.#entry(event.path, event.status, event.fd);
      return;
    }
    using file = openName(selected.tree.root, selected.path);
    if (file) await this.#entry('', statusOf(file.fd), file.fd);
  }

  async #entry(path: string, status: FileStatus, fd: number): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#count += 1;
    if (this.#count % 256 === 0) await breathe();
    const owner = this.#options.owners ? [String(status.uid), String(status.gid)] : [];
    const device = isDirectory(status) ? [] : [String(status.rdevMajor), String(status.rdevMinor)];
    this.#record(['file', path, status.mode.toString(8), ...owner, ...device, await this.#content(status, fd)]);
    for (const { name, value } of copiedAttributes(fd))
      this.#record(['xattr', name.toString('latin1'), value.toString('latin1')]);
  }

  async #content(status: FileStatus, fd: number): Promise<string> {
    const type = status.mode & S_IFMT;
    if (type === S_IFLNK) return native.readlinkat(fd, '').toString('latin1');
    if (type !== S_IFREG) return '';
    const { known } = this.#options;
    const digest = await (known ? contentDigest(fd, known) : readDigest(fd, status.size));
    if (status.nlink < 2) return digest;
    const inode = `${status.dev}:${status.ino}`;
    const first = this.#links.get(inode) ?? this.#count;
    this.#links.set(inode, first);
    return `${digest} ${first}`;
  }

  /** Each field with its length, so that no two lists give the same bytes. */
  #record(fields: readonly string[]): void {
    const bytes = fields.map((field) => Buffer.from(field, 'latin1'));
    this.#hash.update(
      Buffer.concat([
        Buffer.from(`${fields.length}\n`),
        ...bytes.flatMap((field) => [Buffer.from(`${field.length}\n`), field]),
      ]),
    );
  }
}

/**
 * Two changes within one tick of the kernel's clock leave the same change time (git's "racy" index entries), so what is that new is not remembered.
 * Two seconds is the coarsest tick that a file system has.
 */
const SETTLED_NS = 2_000_000_000n;

async function contentDigest(fd: number, known: FileDigests): Promise<string> {
  // The time before the status, and that before the content: whatever changes from then on gets another change time.
  const now = BigInt(Date.now()) * 1_000_000n;
  const { dev, ino, size, mtimeNs, ctimeNs } = statusOf(fd);
  const key = [dev, ino, size, mtimeNs, ctimeNs].join(':');
  const before = known.get(key);
  if (before !== undefined) return before;
  const digest = await readDigest(fd, size);
  if (now - ctimeNs > SETTLED_NS) known.set(key, digest);
  return digest;
}

/** Of all files, one after the other: what is read is digested before anything else is done. */
const CHUNK = Buffer.allocUnsafeSlow(1 << 18);
/** Chunks between two chances for whatever else is to be done. */
const BREATH = 64;

/** @param size as it was when it was looked at: so much is copied, too */
async function readDigest(fd: number, size: number): Promise<string> {
  const hash = createHash('sha256');
  const file = openSync(`/proc/self/fd/${fd}`, OPEN_UNTRUSTED);
  try {
    for (let left = size, count = 1; left > 0; count += 1) {
      const got = readSync(file, CHUNK, 0, Math.min(left, CHUNK.length), null);
      if (got === 0) break;
      hash.update(CHUNK.subarray(0, got));
      left -= got;
      if (count % BREATH === 0) await breathe();
    }
    return hash.digest('hex');
  } finally {
    closeSync(file);
  }
}
