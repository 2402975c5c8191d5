/**
 * Where unpacked layers lie: `snapshots/<number>/fs`, with a `snapshot.json` beside it that says which layer it is, so that the database can be made again
 * from the folders. One is published as a whole, or not at all.
 */
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeFileAtomic } from '../../kernel/files.js';
import { type Digest, isDigest } from '../../oci/image/index.js';
import type { StoreDatabase } from './database.js';
import { storeFailure } from './failures.js';

export interface SnapshotFacts {
  readonly chainId: Digest;
  /** The chain id of the layer below; undefined at the bottom. */
  readonly parent?: Digest;
  readonly diffId: Digest;
  /** Bytes on disk. */
  readonly size: number;
  /** Whose attributes mark its opaque folders: `user` where it was unpacked in a user namespace. On the disk alone; older ones do not say. */
  readonly overlay?: 'trusted' | 'user';
}

export class SnapshotFolders {
  readonly #folder: string;
  readonly #database: StoreDatabase;

  constructor(root: string, database: StoreDatabase) {
    this.#folder = join(root, 'snapshots');
    this.#database = database;
  }

  /** What is known of it, and where its files lie; undefined when it is not there. */
  find(chainId: Digest): (SnapshotFacts & { readonly fs: string }) | undefined {
    const row = this.#database.get<Row>('SELECT * FROM snapshots WHERE chain_id = ?', chainId);
    const fs = row && join(this.#folder, String(row.id), 'fs');
    return row && fs !== undefined && existsSync(fs) ? { ...factsOf(row), fs } : undefined;
  }

  /** As `SnapshotFacts.overlay`, of the folder that `find` has given. */
  overlayOf(fs: string): SnapshotFacts['overlay'] {
    return readFacts(dirname(fs))?.overlay;
  }

  /**
   * Makes a finished folder, of which `fs` holds the layer, a snapshot. The caller has leased the chain id.
   * @returns false when somebody was faster: then the folder is left to the caller
   */
  publish(folder: string, facts: SnapshotFacts): boolean {
    try {
      writeFileAtomic(join(folder, FACTS), JSON.stringify(facts));
      return this.#database.immediate(() => {
        if (this.find(facts.chainId)) return false;
        this.#database.run('DELETE FROM snapshots WHERE chain_id = ?', facts.chainId);
        const id = this.#insert(facts);
        renameSync(folder, join(this.#folder, String(id)));
        return true;
      });
    } catch (error) {
      throw storeFailure(error, `${folder} cannot become a snapshot`);
    }
  }

  /** All of them. */
  list(): (SnapshotFacts & { readonly id: number })[] {
    return this.#database.all<Row>('SELECT * FROM snapshots').map((row) => ({ ...factsOf(row), id: row.id }));
  }

  /** Fills the table from the folders. Within a transaction. */
  restore(): void {
    for (const name of readdirSync(this.#folder).filter((one) => /^[1-9]\d{0,14}$/.test(one))) {
      const facts = readFacts(join(this.#folder, name));
      if (facts) this.#database.run(`${INSERT} ON CONFLICT DO NOTHING`, Number(name), ...valuesOf(facts));
    }
  }

  /** A number that no folder has, as one may be left of a transaction that did not end. */
  #insert(facts: SnapshotFacts): number {
    for (let id: number | null = null; ; id += 1) {
      const { lastInsertRowid } = this.#database.run(INSERT, id, ...valuesOf(facts));
      id = Number(lastInsertRowid);
      if (!existsSync(join(this.#folder, String(id)))) return id;
      this.#database.run('DELETE FROM snapshots WHERE id = ?', id);
    }
  }
}

/** What `snapshot.json` says; undefined when it does not say it. */
export function readFacts(folder: string): SnapshotFacts | undefined {
  let read: Partial<SnapshotFacts>;
  try {
    read = JSON.parse(readFileSync(join(folder, FACTS), 'utf8')) as Partial<SnapshotFacts>;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { chainId, parent, diffId, size, overlay } = read;
  if (!isDigest(chainId) || !isDigest(diffId) || !(parent === undefined || isDigest(parent))) return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size)) return undefined;
  return { chainId, parent, diffId, size, ...((overlay === 'trusted' || overlay === 'user') && { overlay }) };
}

const FACTS = 'snapshot.json';

interface Row {
  readonly id: number;
  readonly chain_id: Digest;
  readonly parent: Digest | null;
  readonly diff_id: Digest;
  readonly size: number;
}

const INSERT = 'INSERT INTO snapshots (id, chain_id, parent, diff_id, size, created) VALUES (?, ?, ?, ?, ?, ?)';

function valuesOf({ chainId, parent, diffId, size }: SnapshotFacts) {
  return [chainId, parent ?? null, diffId, size, Date.now()] as const;
}

function factsOf({ chain_id, parent, diff_id, size }: Row): SnapshotFacts {
  return { chainId: chain_id, ...(parent !== null && { parent }), diffId: diff_id, size };
}
