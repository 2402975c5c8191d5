/** How much room images, unpacked layers, the cache of builds and containers take, and how much of it could be had back. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Digest } from '../oci/image/index.js';
import { usersOf } from './remove.js';
import { leftFolders } from './run/leftover.js';
import { findReach } from './store/collect.js';
import { bytesIn, type ImageStore } from './store/index.js';
import { dropDeadLeases } from './store/lease.js';

export interface UsageRow {
  readonly kind: 'images' | 'layers' | 'build cache' | 'containers' | 'leftovers';
  readonly count: number;
  /** How many are in use. */
  readonly active: number;
  readonly bytes: number;
  /** What `tare image prune --all` would free. */
  readonly reclaimable: number;
}

/** What who was killed had leased counts for nothing, as for a collection. @param containers where the folders of containers lie */
export function diskUsage(store: ImageStore, containers: string): UsageRow[] {
  const [named, all, used] = store.database.immediate(() => {
    dropDeadLeases(store.database, join(store.root, 'leases'));
    return [
      findReach(store, { withoutCache: true }),
      findReach(store),
      findReach(store, { withoutCache: true, isNamed: (target) => usersOf(store, target).length > 0 }),
    ] as const;
  });
  const blobs = [...store.content.list()].map(({ digest, size }) => ({ id: digest, size }));
  const layers = store.layers.list().map(({ chainId, size }) => ({ id: chainId, size }));
  const isCached = (kind: 'blobs' | 'snapshots', id: Digest) => all[kind].has(id) && !named[kind].has(id);
  const cached = [
    ...blobs.filter(({ id }) => isCached('blobs', id)),
    ...layers.filter(({ id }) => isCached('snapshots', id)),
  ];
  const others = blobs.filter(({ id }) => !isCached('blobs', id));
  const unpacked = layers.filter(({ id }) => !isCached('snapshots', id));
  // An image with several names is one.
  const images = [...new Set(store.names.list().map(({ target }) => target.digest))];
  const isFree = (kind: 'blobs' | 'snapshots') => (one: Sized) => !used[kind].has(one.id as Digest);
  const folders = foldersIn(containers);
  const stale = new Set(leftFolders(containers).map((path) => basename(path)));
  const leftovers = foldersIn(join(store.root, 'ingest'));
  return [
    {
      ...row('images', others, isFree('blobs')),
      count: images.length,
      active: images.filter((digest) => used.blobs.has(digest)).length,
    },
    row('layers', unpacked, isFree('snapshots')),
    { ...row('build cache', cached, () => true), count: store.cache.list().length },
    row('containers', folders, ({ id }) => stale.has(id)),
    row('leftovers', leftovers, () => true),
  ];
}

interface Sized {
  readonly id: string;
  readonly size: number;
}

function row(kind: UsageRow['kind'], all: readonly Sized[], isFree: (one: Sized) => boolean): UsageRow {
  const free = all.filter(isFree);
  return { kind, count: all.length, active: all.length - free.length, bytes: sum(all), reclaimable: sum(free) };
}

function sum(all: readonly Sized[]): number {
  return all.reduce((bytes, { size }) => bytes + size, 0);
}

function foldersIn(folder: string): Sized[] {
  return existsSync(folder) ? readdirSync(folder).map((id) => ({ id, size: bytesIn(join(folder, id)) })) : [];
}
