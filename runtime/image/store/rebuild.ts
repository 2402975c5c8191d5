/** Makes the database what the folders say: snapshots, and the leases of containers. What a build has cached is lost with it, and is built again. */
import { join } from 'node:path';
import type { StoreDatabase } from './database.js';
import { restoreFolderLeases } from './lease.js';
import { SCHEMA } from './schema.js';
import { SnapshotFolders } from './snapshot-folders.js';

export function fillDatabase(database: StoreDatabase, root: string): void {
  database.immediate(() => {
    database.script(SCHEMA);
    new SnapshotFolders(root, database).restore();
    restoreFolderLeases(database, join(root, 'leases'));
  });
}
