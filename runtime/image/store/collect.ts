/**
 * Garbage collection: what is not reachable goes. It is decided and done within one transaction of the database, in which no lease can get an item, so
 * that whoever has leased something and then found it keeps it. Killed at any moment it leaves at most what the next one removes.
 */
import { existsSync, lstatSync, readdirSync, renameSync, rmSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { O_DIRECTORY } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { lockNamed } from '../../kernel/lock.js';
import { removeTreeAt } from '../../kernel/tree.js';
import type { Descriptor, Digest } from '../../oci/image/index.js';
import type { ContentStore } from '../types.js';
import type { StoreDatabase } from './database.js';
import { tryOpenPartial } from './ingest.js';
import type { LayoutNames } from './layout.js';
import { dropDeadLeases, strangers } from './lease.js';
import { Reach } from './reach.js';
import type { SnapshotFolders } from './snapshot-folders.js';

export interface Collected {
  readonly blobs: number;
  readonly snapshots: number;
  /** Downloads that were interrupted, and folders of processes that were killed. */
  readonly leftovers: number;
  /** On disk, all in all. */
  readonly bytes: number;
}

export interface CollectOptions {
  /** Also downloads that were interrupted only just now, and could be gone on with. */
  readonly partials?: boolean;
}

export interface Collectable {
  readonly root: string;
  readonly content: ContentStore;
  readonly names: LayoutNames;
  readonly database: StoreDatabase;
  readonly layers: SnapshotFolders;
}

/** How long an interrupted download waits to be gone on with, and a blob of another program to be named, in milliseconds. */
const PARTIAL_AGE = 24 * 3600_000;
const FOREIGN_AGE = 600_000;
/** How long processes that have lost their leases with the database may take to end. */
const PATIENCE = 10_000;

/** @throws TareError `busy` when the database has been made anew, and processes still work with the old one */
export async function collect(store: Collectable, options: CollectOptions = {}): Promise<Collected> {
  const tally = { blobs: 0, snapshots: 0, leftovers: 0, bytes: 0 };
  for (let left = PATIENCE; ; left -= 100) {
    const unknown = store.database.immediate(() => {
      const ids = strangers(store.database, join(store.root, 'leases'));
      if (ids.length === 0) sweep(store, tally);
      return ids;
    });
    if (unknown.length === 0) break;
    if (left <= 0)
      throw new TareError(
        'busy',
        'the database of the image store was made anew while other commands used it: wait for them to end',
      );
    await sleep(100);
  }
  store.database.immediate(() => moveUnknownFolders(store));
  sweepLeftovers(join(store.root, 'ingest'), options, tally);
  await store.names.tidy();
  return tally;
}

export interface ReachOptions {
  /** By which names; all of them unless told. */
  readonly isNamed?: (target: Descriptor) => boolean;
  /** Not by what builds remember. */
  readonly withoutCache?: boolean;
}

/** What is needed by the names, leases and caches of this moment. Within a transaction. */
export function findReach({ content, names, database, layers }: Collectable, options: ReachOptions = {}): Reach {
  const { isNamed = () => true, withoutCache = false } = options;
  const reach = new Reach(content, new Map(layers.list().map(({ chainId, parent }) => [chainId, parent])));
  for (const { target } of names.list()) if (isNamed(target)) reach.addBlob(target.digest);
  const tables = ['lease_items', ...(withoutCache ? [] : ['cache_items'])];
  for (const table of tables) {
    for (const { kind, digest } of database.all<{ kind: string; digest: Digest }>(
      `SELECT kind, digest FROM ${table}`,
    )) {
      if (kind === 'blob') reach.addBlob(digest);
      else reach.addSnapshot(digest);
    }
  }
  reach.addReferrers([...content.list()].map(({ digest }) => digest));
  return reach;
}

type Tally = { -readonly [K in keyof Collected]: Collected[K] };

function sweep(store: Collectable, tally: Tally): void {
  dropDeadLeases(store.database, join(store.root, 'leases'));
  const reach = findReach(store);
  sweepBlobs(store, reach, tally);
  forgetSnapshots(store, reach, tally);
}

function sweepBlobs({ content, database }: Collectable, reach: Reach, tally: Tally): void {
  const ours = new Set(database.all<{ digest: Digest }>('SELECT digest FROM blobs').map(({ digest }) => digest));
  for (const { digest, size } of content.list()) {
    if (reach.blobs.has(digest)) continue;
    const path = content.path(digest);
    // Another program writes the blobs before it names them, and takes no lease.
    if (!ours.has(digest) && Date.now() - lstatSync(path).mtimeMs < FOREIGN_AGE) continue;
    rmSync(path, { force: true });
    tally.blobs += 1;
    tally.bytes += size;
  }
  for (const digest of ours) {
    if (reach.blobs.has(digest) || content.has(digest)) continue;
    database.run('DELETE FROM blobs WHERE digest = ?', digest);
    database.run('DELETE FROM blob_sources WHERE digest = ?', digest);
  }
}

function forgetSnapshots({ root, database, layers }: Collectable, reach: Reach, tally: Tally): void {
  for (const { id, chainId, size } of layers.list()) {
    const isThere = existsSync(join(root, 'snapshots', String(id)));
    if (isThere && reach.snapshots.has(chainId)) continue;
    database.run('DELETE FROM snapshots WHERE id = ?', id);
    if (!isThere) continue;
    tally.snapshots += 1;
    tally.bytes += size;
  }
}

/**
 * Moves the folders away that the database knows nothing of, any more or yet: a transaction did not end. They are removed afterwards, which can take its
 * time. In a transaction of its own: killed here, folders are left that the next one finds, and never a snapshot without its folder.
 */
function moveUnknownFolders({ root, layers }: Collectable): void {
  const known = new Set(layers.list().map(({ id }) => String(id)));
  for (const name of readdirSync(join(root, 'snapshots')))
    if (!known.has(name))
      renameSync(join(root, 'snapshots', name), join(root, 'ingest', `trash-${name}-${Date.now()}`));
}

/** Of `ingest/`: what nobody has the lock of. */
function sweepLeftovers(folder: string, { partials }: CollectOptions, tally: Tally): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const facts = lstatSync(path, { throwIfNoEntry: false });
    if (!facts) continue;
    if (name.startsWith('trash-')) removeTreeAt(path);
    else if (facts.isDirectory()) sweepFolder(path, tally);
    else if (partials || name.startsWith('new-') || Date.now() - facts.mtimeMs > PARTIAL_AGE) sweepPartial(path, tally);
  }
}

function sweepFolder(path: string, tally: Tally): void {
  using lock = lockNamed(path, O_DIRECTORY);
  if (!lock) return;
  tally.bytes += bytesIn(path);
  tally.leftovers += 1;
  removeTreeAt(path);
}

function sweepPartial(path: string, tally: Tally): void {
  using file = tryOpenPartial(path);
  if (!file) return;
  const size = lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
  rmSync(path, { force: true });
  tally.leftovers += 1;
  tally.bytes += size;
}

/** What a file, or a folder with all that is in it, takes on disk, in bytes; each counts once, whatever its name, and however many names it has. */
export function bytesIn(folder: string): number {
  let bytes = (factsOf(Buffer.from(folder))?.blocks ?? 0) * 512;
  const seen = new Set<string>();
  const pending = [Buffer.from(folder)];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    for (const name of entriesOf(path)) {
      const entry = Buffer.concat([path, Buffer.from('/'), name]);
      const facts = factsOf(entry);
      if (!facts || seen.has(`${facts.dev}:${facts.ino}`)) continue;
      if (facts.nlink > 1 && !facts.isDirectory()) seen.add(`${facts.dev}:${facts.ino}`);
      bytes += facts.blocks * 512;
      if (facts.isDirectory()) pending.push(entry);
    }
  }
  return bytes;
}

function entriesOf(path: Buffer): Buffer[] {
  return tolerant(() => readdirSync(path, 'buffer')) ?? [];
}

function factsOf(path: Buffer): Stats | undefined {
  return tolerant(() => lstatSync(path, { throwIfNoEntry: false }));
}

/** undefined of what has just been removed, and of what lies deeper than a path can say. */
function tolerant<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
