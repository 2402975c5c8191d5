/**
 * The image store: an OCI image layout (blobs by digest, names in index.json) with the folders of unpacked layers beside it and a database over them. Several
 * processes use it at once. What is made is complete before it is visible, and what nothing names and no lease keeps is collected.
 * image-layout.md
 */
import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { makeFolders, writeFileAtomic } from '../../kernel/files.js';
import { DirectoryLock } from '../../kernel/lock.js';
import { dataRoot } from '../../kernel/places.js';
import { inFirstUserNamespace } from '../../kernel/user-namespace.js';
import { LAYOUT_FILE, layoutIndex } from '../../oci/image/index.js';
import type { ContentStore, Lease, OnProgress } from '../types.js';
import { BuildCache } from './cache.js';
import { type Collected, type CollectOptions, collect } from './collect.js';
import { BlobFolder } from './content.js';
import { isDamaged, removeDatabase, StoreDatabase } from './database.js';
import { isNoSpace, storeFailure } from './failures.js';
import { LayoutNames } from './layout.js';
import { leaseOfFolder, leaseOfProcess } from './lease.js';
import { fillDatabase } from './rebuild.js';
import { giveUpReserve, keepReserve } from './reserve.js';
import { makeScratch, type Scratch } from './scratch.js';
import { SnapshotFolders } from './snapshot-folders.js';
import { type Verified, verify } from './verify.js';

export type { BuildCache, CacheEntry } from './cache.js';
export { bytesIn, type Collected, type CollectOptions } from './collect.js';
export type { StoreDatabase } from './database.js';
export { storeFailure } from './failures.js';
export type { LayoutNames } from './layout.js';
export type { Scratch } from './scratch.js';
export type { SnapshotFacts, SnapshotFolders } from './snapshot-folders.js';
export type { Problem, Verified } from './verify.js';

/** In milliseconds; making a database again means to read a small file for each snapshot. */
const PATIENCE = 60_000;

/** A store that is open: blobs, names, leases and unpacked layers, until it is closed. What it gives is kept from collection by a lease only. */
export class ImageStore implements Disposable {
  /** The folder of the layout. */
  readonly root: string;
  readonly content: ContentStore;
  readonly names: LayoutNames;
  readonly database: StoreDatabase;
  readonly layers: SnapshotFolders;
  readonly cache: BuildCache;

  private constructor(root: string, database: StoreDatabase) {
    this.root = root;
    this.content = new BlobFolder(root);
    this.names = new LayoutNames(root);
    this.database = database;
    this.layers = new SnapshotFolders(root, database);
    this.cache = new BuildCache(database);
  }

  /** Opens the store, or makes one. @throws TareError `no-space`, `permission` */
  static async open(root: string = join(dataRoot(), 'images')): Promise<ImageStore> {
    const folder = resolve(root);
    const open = async () => {
      try {
        refuseForeign(folder);
        makeLayout(folder);
        return new ImageStore(folder, await openDatabase(folder));
      } catch (error) {
        throw storeFailure(error, `the image store ${folder} cannot be opened`);
      }
    };
    const store = await orWithReserve(folder, open);
    keepReserve(folder);
    return store;
  }

  /** Work that makes room, and needs a little to begin with: on a full disk it is done again with what was kept for that. */
  makingRoom<T>(work: () => Promise<T>): Promise<T> {
    return orWithReserve(this.root, work);
  }

  /**
   * Keeps what is added to it. Without an owner it is of this process, and ends with it or when it is disposed of; with one, the absolute path of
   * a folder, it lasts as long as that folder.
   */
  lease(owner?: string): Lease {
    const folder = join(this.root, 'leases');
    try {
      return owner === undefined ? leaseOfProcess(this.database, folder) : leaseOfFolder(this.database, folder, owner);
    } catch (error) {
      throw storeFailure(error, `${folder} cannot be written`);
    }
  }

  /**
   * A new folder on the disk of the store, for what is not finished. It is collected once its process has died.
   * Disposed of, it goes with all that is in it, unless it has been renamed.
   */
  scratch(): Promise<Scratch> {
    return makeScratch(join(this.root, 'ingest'));
  }

  /** Removes what no name, no living lease and no entry of the build cache needs. @throws TareError `busy` */
  collectGarbage(options: CollectOptions = {}): Promise<Collected> {
    return collect(this, options);
  }

  /** Reads every blob, and looks whether all that is named is there. Changes nothing. */
  verify(onProgress?: OnProgress): Promise<Verified> {
    return verify(this, onProgress);
  }

  /** Nothing of the store can be used afterwards: leases are disposed of before. */
  close(): void {
    this.database.close();
    // What its journal took is free again.
    if (existsSync(this.root)) keepReserve(this.root);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

async function orWithReserve<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isNoSpace(error) || !giveUpReserve(root)) throw error;
    return await work();
  }
}

/**
 * Whoever can exchange the folders of a store decides where we write and what we remove. (In a user namespace of its own the kernel shows
 * owners that are nobody's here, and lets nothing be done to what is theirs.)
 */
function refuseForeign(root: string): void {
  const wrong = (path: string, why: string) =>
    new TareError(
      'permission',
      `the image store ${root} is not used, because ${path} ${why}: give it to yourself by chown and chmod, or use --root with a folder of your own`,
      { path },
    );
  for (const path of [dirname(root), root]) {
    const facts = statSync(path, { throwIfNoEntry: false });
    if (!facts) continue;
    if (facts.uid !== process.geteuid?.() && facts.uid !== 0 && inFirstUserNamespace())
      throw wrong(path, `belongs to user ${facts.uid}`);
    // Of a sticky folder, such as /tmp, nobody takes what is not his.
    const isShared = path !== root && (facts.mode & 0o1000) !== 0;
    if ((facts.mode & 0o002) !== 0 && !isShared) throw wrong(path, 'is a folder that everybody can write to');
  }
}

function makeLayout(root: string): void {
  for (const name of ['blobs/sha256', 'ingest', 'leases', 'snapshots']) makeFolders(join(root, name));
  const marker = join(root, 'oci-layout');
  if (!existsSync(marker)) writeFileAtomic(marker, LAYOUT_FILE, { durable: true });
  const index = join(root, 'index.json');
  if (!existsSync(index)) writeFileAtomic(index, layoutIndex([]), { durable: true });
}

/** A new or damaged one is filled from what the folders say, by one process, while the others wait. */
async function openDatabase(root: string): Promise<StoreDatabase> {
  const path = join(root, 'tare.db');
  const ready = existsSync(path) ? tryOpen(path) : undefined;
  if (ready) return ready;
  using _lock = await DirectoryLock.acquire(root, { waitMs: PATIENCE });
  const other = existsSync(path) ? tryOpen(path) : undefined;
  if (other) return other;
  removeDatabase(path);
  const database = StoreDatabase.open(path);
  try {
    fillDatabase(database, root);
    return database;
  } catch (error) {
    database.close();
    removeDatabase(path);
    throw error;
  }
}

/** undefined when there is none that can be used: it is damaged, or whoever made it has not finished. */
function tryOpen(path: string): StoreDatabase | undefined {
  let database: StoreDatabase;
  try {
    database = StoreDatabase.open(path);
  } catch (error) {
    if (isDamaged(error)) return undefined;
    throw error;
  }
  try {
    if (database.version > 0) return database;
  } catch (error) {
    database.close();
    if (isDamaged(error)) return undefined;
    throw error;
  }
  database.close();
  return undefined;
}
