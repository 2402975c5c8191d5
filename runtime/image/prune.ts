/**
 * Making room: images that have lost their names, or all that no container uses, what builds remember, downloads that were interrupted, snapshots that nothing
 * needs, and the folders of containers that are gone.
 */
import { basename, join } from 'node:path';
import type { Digest } from '../oci/image/index.js';
import { pruneCacheFolders } from './build/cache-mounts.js';
import { BUILDS, removeDeadWork } from './build/work.js';
import { type ListedImage, listImages } from './list.js';
import { familiarName } from './reference.js';
import { usersOf } from './remove.js';
import { collectFolders, leftFolders } from './run/leftover.js';
import { bytesIn, type Collected, type ImageStore } from './store/index.js';

/** What goes, besides what nobody can name any more. */
export interface PruneOptions {
  /** Also images with a name that no container uses, and the cache of builds. */
  readonly all?: boolean;
  /** Only images that were made before it; what builds have cached stays then. */
  readonly until?: Date;
  /** Where the folders of containers lie. */
  readonly containers: string;
}

/** What has gone. */
export interface Pruned extends Collected {
  /** Names, and digests of what had none. */
  readonly untagged: readonly string[];
  /** Ids of containers whose folders were left. */
  readonly containers: readonly string[];
}

/** What was pruned, and its bytes. */
export async function prune(store: ImageStore, { all = false, until, containers }: PruneOptions): Promise<Pruned> {
  const used = new Map(store.names.list().map(({ target }) => [target.digest, usersOf(store, target).length > 0]));
  const young = new Set(until ? youngImages(store, until) : []);
  const untagged: string[] = [];
  await store.names.deleteWhere(({ reference, target }) => {
    if (young.has(target.digest)) return false;
    // What was named since then is not what was meant.
    const isUnwanted = reference ? all && used.get(target.digest) === false : used.get(target.digest) !== true;
    if (isUnwanted) untagged.push(reference ? familiarName(reference) : target.digest);
    return isUnwanted;
  });
  const cached = bytesIn(join(store.root, BUILDS));
  await removeDeadWork(store.root);
  if (all && !until) {
    store.cache.clear();
    await pruneCacheFolders(store.root, Date.now() + 1);
  }
  const builds = cached - bytesIn(join(store.root, BUILDS));
  const folders = await pruneContainers(containers);
  const collected = await store.collectGarbage({ partials: true });
  return {
    ...collected,
    bytes: collected.bytes + folders.bytes + Math.max(0, builds),
    untagged,
    containers: folders.ids,
  };
}

/** What does not say when it was made is of no age. */
function youngImages(store: ImageStore, until: Date): Digest[] {
  const isYoung = ({ created }: ListedImage) => !(Date.parse(created ?? '') < until.getTime());
  return listImages(store)
    .filter(isYoung)
    .map(({ target }) => target.digest);
}

async function pruneContainers(containers: string): Promise<{ ids: string[]; bytes: number }> {
  const left = leftFolders(containers);
  const bytes = left.reduce((sum, path) => sum + bytesIn(path), 0);
  await collectFolders(containers);
  return { ids: left.map((path) => basename(path)), bytes };
}
