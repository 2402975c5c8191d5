/**
 * The store's database: what is asked for often and cannot be read from a file's name. It is an index: leases, snapshots and where blobs came from are found
 * again in the folders when it is lost. Write-ahead logging, so that readers never wait; who writes waits for who writes before.
 * https://www.sqlite.org/wal.html, https://www.sqlite.org/rescode.html
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type Sqlite from 'better-sqlite3';
import { TareError } from '../../kernel/error.js';
import { VERSION } from './schema.js';

export type Value = string | number | bigint | Uint8Array | null;

/** How long a writer waits for another, in milliseconds. Nobody writes for longer than it takes to rename or unlink some files. */
const PATIENCE = 60_000;

export class StoreDatabase implements Disposable {
  readonly #path: string;
  readonly #sqlite: Sqlite.Database;
  readonly #statements = new Map<string, Sqlite.Statement>();

  private constructor(path: string, sqlite: Sqlite.Database) {
    this.#path = path;
    this.#sqlite = sqlite;
  }

  /** Opens it, or makes an empty one of version 0. @throws TareError `state` when it is damaged, `unsupported` when a newer Tare wrote it */
  static open(path: string): StoreDatabase {
    if (existsSync(markOf(path))) throw damaged(path);
    const database = new StoreDatabase(path, open(path));
    try {
      database.#guard(() => {
        database.#sqlite.pragma('journal_mode = WAL');
        database.#sqlite.pragma('synchronous = NORMAL');
        database.#sqlite.pragma('foreign_keys = ON');
      });
      if (database.version > VERSION)
        throw new TareError('unsupported', `${path} was written by a newer version of Tare: use that one`, { path });
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** What it was made by; 0 when there is nothing in it yet. */
  get version(): number {
    return this.#guard(() => this.#sqlite.pragma('user_version', { simple: true }) as number);
  }

  /** Several statements. */
  script(sql: string): void {
    this.#guard(() => this.#sqlite.exec(sql));
  }

  /** @returns how many rows it changed, and the id of the last one that it made */
  run(sql: string, ...values: readonly Value[]): { changes: number; lastInsertRowid: number | bigint } {
    return this.#guard(() => this.#statement(sql).run(...values));
  }

  get<Row>(sql: string, ...values: readonly Value[]): Row | undefined {
    return this.#guard(() => this.#statement(sql).get(...values) as Row | undefined);
  }

  all<Row>(sql: string, ...values: readonly Value[]): Row[] {
    return this.#guard(() => this.#statement(sql).all(...values) as Row[]);
  }

  /**
   * All of it or nothing, and nobody else writes meanwhile, from the first line on. Within itself it is one with the outer one.
   * `work` must not wait for anything.
   */
  immediate<T>(work: () => T): T {
    if (this.#sqlite.inTransaction) return work();
    return this.#guard(() => this.#sqlite.transaction(work).immediate());
  }

  /** Looks through all of it. @returns what is wrong; undefined when nothing is */
  check(): string | undefined {
    const [first] = this.#guard(() => this.#sqlite.pragma('integrity_check(1)') as { integrity_check: string }[]);
    return first === undefined || first.integrity_check === 'ok' ? undefined : first.integrity_check;
  }

  close(): void {
    this.#statements.clear();
    this.#sqlite.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #statement(sql: string): Sqlite.Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#sqlite.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #explain(error: unknown): unknown {
    const code =
      error instanceof Error && error.name === 'SqliteError' ? String((error as Error & { code?: unknown }).code) : '';
    const path = this.#path;
    if (code === '') return error;
    if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE')
      return new TareError('no-space', `${path} cannot be written: no space left on its disk`, { cause: error, path });
    if (code.startsWith('SQLITE_BUSY'))
      return new TareError('busy', `${path} is held by another process`, { cause: error, path });
    if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
      // The next who opens it makes it anew.
      writeFileSync(markOf(path), '');
      return damaged(path, error);
    }
    if (code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_CANTOPEN'))
      return notOurs(path, 'written', error);
    return new TareError('system-call', `${path}: ${(error as Error).message}`, { cause: error, path });
  }
}

export function isDamaged(error: unknown): boolean {
  return error instanceof TareError && error.code === 'state' && DAMAGED.test(error.message);
}

/** Takes a damaged one away. Nobody else may do so, or open it, at the same time. */
export function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  rmSync(markOf(path), { force: true });
}

const DAMAGED = /is damaged; it is made anew/;

function damaged(path: string, cause?: unknown): TareError {
  return new TareError('state', `${path} is damaged; it is made anew when the store is opened next`, { cause, path });
}

function notOurs(path: string, what: string, cause: unknown): TareError {
  return new TareError(
    'permission',
    `${path} cannot be ${what}: it belongs to somebody else, or its file system is read-only; --root or TARE_ROOT names another place`,
    { cause, path },
  );
}

function markOf(path: string): string {
  return `${path}.damaged`;
}

let loaded: typeof Sqlite | undefined;

/** It is a native addon, which only those load who use images. */
function open(path: string): Sqlite.Database {
  loaded ??= createRequire(import.meta.url)('better-sqlite3') as typeof Sqlite;
  try {
    return new loaded(path, { timeout: PATIENCE });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'SQLITE_CANTOPEN') throw notOurs(path, 'opened', error);
    throw error;
  }
}
