/**
 * The tables of the store's database. A lease has items, and what it names is not collected; so has an entry of the build cache. A snapshot is the folder
 * `snapshots/<id>`. `blobs` are those that Tare itself has begun to write: others may belong to a program that is about to name them.
 */

export const VERSION = 1;

export const SCHEMA = `
CREATE TABLE leases (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('process', 'folder')),
  -- Of a folder its path; of a process its pid, for people.
  owner TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE lease_items (
  lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('blob', 'snapshot')),
  digest TEXT NOT NULL,
  PRIMARY KEY (lease, kind, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  chain_id TEXT NOT NULL UNIQUE,
  -- The chain id of the layer below; null at the bottom.
  parent TEXT,
  diff_id TEXT NOT NULL,
  -- Bytes on disk.
  size INTEGER NOT NULL,
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE blobs (
  digest TEXT PRIMARY KEY,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Where a blob is known to be, for cross-repository mounts.
CREATE TABLE blob_sources (
  digest TEXT NOT NULL,
  registry TEXT NOT NULL,
  repository TEXT NOT NULL,
  PRIMARY KEY (digest, registry, repository)
) STRICT, WITHOUT ROWID;

CREATE TABLE cache (
  key TEXT PRIMARY KEY,
  -- JSON.
  value TEXT NOT NULL,
  created INTEGER NOT NULL,
  used INTEGER NOT NULL
) STRICT;

CREATE TABLE cache_items (
  key TEXT NOT NULL REFERENCES cache (key) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('blob', 'snapshot')),
  digest TEXT NOT NULL,
  PRIMARY KEY (key, kind, digest)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = ${VERSION};
`;
