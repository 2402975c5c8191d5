/**
 * What one layer may cost. A layer is made by somebody else, and a few kilobytes of it can ask for any number of bytes, files and folders:
 * each is counted while it comes out, and what goes beyond is refused, with the entry by which it did.
 */

import { NAME_MAX, PATH_MAX, XATTR_SIZE_MAX } from '../../kernel/constants/files.js';
import { TareError } from '../../kernel/error.js';

export interface Budget {
  /** Uncompressed bytes, those behind the end of the archive too. */
  readonly bytes: number;
  /** Uncompressed bytes for each compressed one, once there are more than `ratioFrom` bytes. */
  readonly ratio: number;
  readonly ratioFrom: number;
  /** Of all sparse files, holes included. */
  readonly sparseBytes: number;
  /** Entries, and folders that none names. */
  readonly entries: number;
  readonly depth: number;
  readonly pathBytes: number;
  readonly nameBytes: number;
  /** Of one entry: how many extended attributes, and how large one may be. */
  readonly xattrs: number;
  readonly xattrBytes: number;
  /** Names and values of all entries: one global record gives each entry its attributes, however short it is. */
  readonly allXattrBytes: number;
  /** Components of the targets of symbolic links, each time that one is followed: a name of a few bytes can lead through thousands. */
  readonly linkSteps: number;
  /** Of all names that are remembered until the layers below are there. */
  readonly unsettledBytes: number;
  /** Of the names of all folders that get their times when everything is in them. */
  readonly folderBytes: number;
}

/** Beyond what the largest images of the field have: machine learning's layers of 20 GB, and a million small files. */
export const DEFAULT_BUDGET: Budget = {
  bytes: 128 * 2 ** 30,
  ratio: 200,
  ratioFrom: 2 ** 30,
  sparseBytes: 4 * 2 ** 40,
  entries: 2_000_000,
  depth: 255,
  pathBytes: PATH_MAX - 1,
  nameBytes: NAME_MAX,
  xattrs: 100,
  xattrBytes: XATTR_SIZE_MAX,
  allXattrBytes: 2 ** 30,
  linkSteps: 4_000_000,
  unsettledBytes: 32 * 2 ** 20,
  folderBytes: 256 * 2 ** 20,
};

/** What remembering a name takes besides its characters. */
const PER_NAME = 64;

/** What has been used of a budget. */
export class Meter {
  compressed = 0;
  uncompressed = 0;
  entries = 0;
  #sparse = 0;
  #unsettled = 0;
  #folders = 0;
  #xattrs = 0;
  #linkSteps = 0;

  /** @param what in errors */
  constructor(
    readonly budget: Budget,
    private readonly what = 'the layer',
  ) {}

  /** @throws TareError `protocol` */
  addBytes(count: number): void {
    const { bytes, ratio, ratioFrom } = this.budget;
    this.uncompressed += count;
    if (this.uncompressed > bytes) throw this.#exceeded(`${bytes} bytes when uncompressed`);
    if (this.uncompressed > ratioFrom && this.uncompressed > ratio * this.compressed)
      throw this.#exceeded(`${ratio} times its compressed size`);
  }

  addEntry(): void {
    if (++this.entries > this.budget.entries) throw this.#exceeded(`${this.budget.entries} files`);
  }

  addSparse(size: number): void {
    this.#sparse += size;
    if (this.#sparse > this.budget.sparseBytes)
      throw this.#exceeded(`${this.budget.sparseBytes} bytes of sparse files`);
  }

  addXattr(name: Buffer, value: Buffer): void {
    this.#xattrs += name.length + value.length;
    if (this.#xattrs > this.budget.allXattrBytes)
      throw this.#exceeded(`${this.budget.allXattrBytes} bytes of extended attributes`);
  }

  addLinkSteps(count: number): void {
    this.#linkSteps += count;
    if (this.#linkSteps > this.budget.linkSteps)
      throw this.#exceeded(`${this.budget.linkSteps} steps to go along its symbolic links`);
  }

  addUnsettled(...names: readonly string[]): void {
    for (const name of names) this.#unsettled += name.length + PER_NAME;
    if (this.#unsettled > this.budget.unsettledBytes)
      throw this.#exceeded(`${this.budget.unsettledBytes} bytes of names that it leaves to the layers below`);
  }

  addFolder(name: string): void {
    this.#folders += name.length + PER_NAME;
    if (this.#folders > this.budget.folderBytes)
      throw this.#exceeded(`${this.budget.folderBytes} bytes of names of folders`);
  }

  #exceeded(than: string): TareError {
    return new TareError('protocol', `${this.what} has more than ${than}`);
  }
}
