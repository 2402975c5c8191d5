/** In which repositories of a registry a blob is known to be, so that a push to another one of it need not send it: a table of the store's database. */
import type { Digest } from '../../oci/image/index.js';
import type { StoreDatabase } from '../store/index.js';

/** Nobody asks for more, and a loop over repositories must end. */
const MOST = 5;

export function rememberSource(database: StoreDatabase, digest: Digest, registry: string, repository: string): void {
  database.run('INSERT OR IGNORE INTO blob_sources VALUES (?, ?, ?)', digest, registry, repository);
}

/** Other repositories of the registry that have it. */
export function sourcesOf(database: StoreDatabase, digest: Digest, registry: string, repository: string): string[] {
  return database
    .all<{ repository: string }>(
      'SELECT repository FROM blob_sources WHERE digest = ? AND registry = ? AND repository <> ? LIMIT ?',
      digest,
      registry,
      repository,
      MOST,
    )
    .map((row) => row.repository);
}

export function forgetSource(database: StoreDatabase, digest: Digest, registry: string, repository: string): void {
  database.run(
    'DELETE FROM blob_sources WHERE digest = ? AND registry = ? AND repository = ?',
    digest,
    registry,
    repository,
  );
}
