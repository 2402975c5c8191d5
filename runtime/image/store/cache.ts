/**
 * What builds remember: under the key of a step (a digest of all that it depends on) what came of it. The blobs and snapshots that an entry names are not
 * collected while the entry is there.
 */
import type { Digest } from '../../oci/image/index.js';
import type { StoreDatabase } from './database.js';

export interface CacheEntry {
  readonly key: string;
  /** As it was given: anything that JSON can hold. */
  readonly value: unknown;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly used: number;
}

export class BuildCache {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** The value of an entry, which counts as used now. What it names may be damaged or gone all the same: look, once it is leased. */
  get(key: string): unknown {
    const row = this.#database.get<{ value: string }>('SELECT value FROM cache WHERE key = ?', key);
    if (!row) return undefined;
    this.#database.run('UPDATE cache SET used = ? WHERE key = ?', Date.now(), key);
    return JSON.parse(row.value);
  }

  /** Writes an entry, or replaces it. The caller has leased what it names. */
  set(
    key: string,
    value: unknown,
    items: { readonly blobs?: readonly Digest[]; readonly snapshots?: readonly Digest[] },
  ): void {
    const now = Date.now();
    this.#database.immediate(() => {
      this.delete(key);
      this.#database.run(
        'INSERT INTO cache (key, value, created, used) VALUES (?, ?, ?, ?)',
        key,
        JSON.stringify(value),
        now,
        now,
      );
      for (const digest of items.blobs ?? []) this.#database.run(INSERT_ITEM, key, 'blob', digest);
      for (const digest of items.snapshots ?? []) this.#database.run(INSERT_ITEM, key, 'snapshot', digest);
    });
  }

  /** False when there was none. */
  delete(key: string): boolean {
    return this.#database.run('DELETE FROM cache WHERE key = ?', key).changes > 0;
  }

  /** Removes all entries, or those not used since then. @returns how many */
  clear(usedBefore = Number.MAX_SAFE_INTEGER): number {
    return this.#database.run('DELETE FROM cache WHERE used < ?', usedBefore).changes;
  }

  /** The one that was used last comes first. */
  list(): CacheEntry[] {
    const rows = this.#database.all<CacheEntry & { value: string }>('SELECT * FROM cache ORDER BY used DESC');
    return rows.map((row) => ({ ...row, value: JSON.parse(row.value) as unknown }));
  }
}

const INSERT_ITEM = 'INSERT INTO cache_items (key, kind, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING';
