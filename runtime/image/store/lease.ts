/**
 * Leases: what they name is not collected. One of a process lives while the process holds the lock of its file, which the kernel lets go of however it
 * dies, in whichever pid namespace it was; one of a folder lives while the folder exists, and its items are also in its file, because
 * containers must survive the loss of the database. flock(2)
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../kernel/addon.js';
import { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { writeFileAtomic } from '../../kernel/files.js';
import { tryLock } from '../../kernel/lock.js';
import { type Digest, isDigest } from '../../oci/image/index.js';
import type { Lease } from '../types.js';
import type { StoreDatabase } from './database.js';

/** A lease of this process. */
export function leaseOfProcess(database: StoreDatabase, folder: string): Lease {
  const id = `p-${randomBytes(8).toString('hex')}`;
  const path = join(folder, id);
  let lock: OwnedFd | undefined;
  try {
    // In one transaction, as they are looked through: nobody takes it for one that has died.
    database.immediate(() => {
      lock = new OwnedFd(native.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
      if (!tryLock(lock.fd)) throw new TareError('internal', `${path} is new, and locked`);
      database.run(INSERT, id, 'process', String(process.pid), Date.now());
    });
  } catch (error) {
    rmSync(path, { force: true });
    lock?.close();
    throw error;
  }
  return lease(database, id, undefined, () => {
    if (!lock?.isOpen) return;
    try {
      database.run('DELETE FROM leases WHERE id = ?', id);
    } catch (error) {
      // A full disk; or the store has been closed. Without the lock it is over too, and the next collection takes it away.
      if (!(error instanceof Error)) throw error;
    } finally {
      rmSync(path, { force: true });
      lock.close();
    }
  });
}

/** The lease of a folder: a new one, or the one that it has. */
export function leaseOfFolder(database: StoreDatabase, folder: string, owner: string): Lease {
  const id = `f-${createHash('sha256').update(owner).digest('hex').slice(0, 32)}`;
  const path = join(folder, id);
  const write = () => {
    const held: FolderLease = { folder: owner, items: itemsOf(database, id) };
    writeFileAtomic(path, JSON.stringify(held));
  };
  database.immediate(() => {
    // One of a folder of the same name that is gone.
    if (!existsSync(owner)) database.run('DELETE FROM leases WHERE id = ?', id);
    database.run(INSERT, id, 'folder', owner, Date.now());
    write();
  });
  return lease(database, id, write, () => {
    // It stays with its folder.
    if (!existsSync(owner)) dropLease(database, folder, id);
  });
}

/** Ends those whose process or folder is gone. Within a transaction. */
export function dropDeadLeases(database: StoreDatabase, folder: string): void {
  for (const { id, kind, owner } of database.all<{ id: string; kind: string; owner: string }>('SELECT * FROM leases')) {
    if (kind === 'folder' ? !existsSync(owner) : !isHeld(join(folder, id))) dropLease(database, folder, id);
  }
  // What died before it had a row, or with it gone.
  const known = new Set(database.all<{ id: string }>('SELECT id FROM leases').map(({ id }) => id));
  for (const id of readdirSync(folder))
    if (!known.has(id) && !isHeld(join(folder, id))) rmSync(join(folder, id), { force: true });
}

/** Living processes of whose leases the database knows nothing: it was made anew while they worked. Within a transaction. */
export function strangers(database: StoreDatabase, folder: string): string[] {
  const known = new Set(database.all<{ id: string }>('SELECT id FROM leases').map(({ id }) => id));
  return readdirSync(folder).filter((id) => id.startsWith('p-') && !known.has(id) && isHeld(join(folder, id)));
}

/** The leases of folders, from their files. */
export function restoreFolderLeases(database: StoreDatabase, folder: string): void {
  for (const id of readdirSync(folder).filter((name) => name.startsWith('f-'))) {
    const { folder: owner, items } = readFolderLease(join(folder, id)) ?? {};
    if (owner === undefined || items === undefined) continue;
    database.run(INSERT, id, 'folder', owner, Date.now());
    for (const { kind, digest } of items) database.run(INSERT_ITEM, id, kind, digest);
  }
}

interface Item {
  readonly kind: 'blob' | 'snapshot';
  readonly digest: Digest;
}
interface FolderLease {
  readonly folder: string;
  readonly items: readonly Item[];
}

const INSERT = 'INSERT INTO leases (id, kind, owner, created) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING';
const INSERT_ITEM = 'INSERT INTO lease_items (lease, kind, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING';

function lease(database: StoreDatabase, id: string, changed: (() => void) | undefined, end: () => void): Lease {
  const add = (kind: Item['kind'], digest: Digest) => {
    database.immediate(() => {
      if (kind === 'blob')
        database.run('INSERT INTO blobs (digest, created) VALUES (?, ?) ON CONFLICT DO NOTHING', digest, Date.now());
      // Within the transaction: what lies about beside the leases is taken for dead otherwise.
      if (database.run(INSERT_ITEM, id, kind, digest).changes > 0) changed?.();
    });
  };
  return {
    id,
    addBlob: (digest) => add('blob', digest),
    addSnapshot: (chainId) => add('snapshot', chainId),
    [Symbol.dispose]: end,
  };
}

function dropLease(database: StoreDatabase, folder: string, id: string): void {
  database.run('DELETE FROM leases WHERE id = ?', id);
  rmSync(join(folder, id), { force: true });
}

function itemsOf(database: StoreDatabase, id: string): Item[] {
  return database.all<Item>('SELECT kind, digest FROM lease_items WHERE lease = ?', id);
}

/** Somebody has the lock of the file. */
function isHeld(path: string): boolean {
  try {
    using file = new OwnedFd(native.open(path, O_RDWR | O_NOFOLLOW));
    return !tryLock(file.fd);
  } catch (error) {
    if (error instanceof TareError && error.syscall?.errno === 'ENOENT') return false;
    throw error;
  }
}

/** undefined when it cannot be read: a crash cannot have cut it, so it is not ours. */
function readFolderLease(path: string): FolderLease | undefined {
  let read: Partial<FolderLease>;
  try {
    read = JSON.parse(readFileSync(path, 'utf8')) as Partial<FolderLease>;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof read.folder !== 'string' || !Array.isArray(read.items)) return undefined;
  const items = read.items.filter(({ kind, digest }) => (kind === 'blob' || kind === 'snapshot') && isDigest(digest));
  return { folder: read.folder, items };
}
