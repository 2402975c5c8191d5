/**
 * Taking names from images. An image without a name is collected, unless a container uses it: then it is refused, or, when that is wanted all the same, stays until
 * the container goes.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { TareError } from '../kernel/error.js';
import {
  type Descriptor,
  type Digest,
  isConfigType,
  isIndexType,
  isManifestType,
  parseImageConfig,
} from '../oci/image/index.js';
import { findImage, type Images, manifestsOf, readableManifests } from './image.js';
import { familiarName, type Reference } from './reference.js';
import { chainIdsOf } from './snapshot/chain.js';
import type { ImageStore } from './store/index.js';

export interface Removed {
  /** Names as people write them. */
  readonly untagged: readonly string[];
  /** What has no name any more. Its blobs go when garbage is collected next. */
  readonly nameless: readonly Descriptor[];
}

/**
 * Removes a name; or, by the digits of an id, the image with its name.
 * @param what a name or an id
 * @throws TareError `not-found`; `state` when a container uses what would lose its last name, or an id has several, without `force`
 */
export async function removeImage(store: ImageStore, what: string, { force = false } = {}): Promise<Removed> {
  const found = findImage(store, what);
  const { reference } = found;
  const entries = store.names.list();
  const byName =
    reference && entries.filter((entry) => entry.reference && isSame(entry.reference, reference, found.target));
  const doomed = byName?.length ? byName : entries.filter(({ target }) => stands(store, target, found.target));
  const names = doomed.flatMap((entry) => entry.reference ?? []).map(familiarName);
  if (!reference && names.length > 1 && !force)
    throw new TareError(
      'state',
      `${what} has several names (${names.join(', ')}): remove them by name, or all of them with --force`,
    );
  const lost = doomed.filter(
    ({ target }) => !entries.some((other) => !doomed.includes(other) && other.target.digest === target.digest),
  );
  if (!force) for (const { target } of lost) refuseUsed(store, what, target);
  const digests = new Set(doomed.map(({ target }) => target.digest));
  await store.names.deleteWhere((entry) =>
    entry.reference
      ? digests.has(entry.target.digest) && names.includes(familiarName(entry.reference))
      : !byName?.length && digests.has(entry.target.digest),
  );
  return { untagged: names, nameless: [...new Map(lost.map(({ target }) => [target.digest, target])).values()] };
}

/** The containers that an image's layers are kept for: the names of their folders. */
export function usersOf(store: ImageStore, target: Descriptor): string[] {
  const mine = partsOf(store, target);
  const items = store.database.all<{ owner: string; kind: string; digest: Digest }>(
    `SELECT owner, lease_items.kind, digest FROM leases JOIN lease_items ON lease = id WHERE leases.kind = 'folder'`,
  );
  const users = items
    .filter(({ owner, digest }) => mine.has(digest) && existsSync(owner))
    .map(({ owner }) => basename(owner));
  return [...new Set(users)];
}

function refuseUsed(store: ImageStore, what: string, target: Descriptor): void {
  const users = usersOf(store, target);
  if (users.length === 0) return;
  const who = users.length === 1 ? `container ${users[0]} uses` : `containers ${users.join(', ')} use`;
  throw new TareError(
    'state',
    `${what} is not removed, because ${who} it: delete that first, or take its name away with --force`,
  );
}

/** What a container leases of an image: its manifest, its config, or its uppermost layer. */
function partsOf(store: Pick<Images, 'content'>, target: Descriptor): Set<Digest> {
  const parts = new Set([target.digest]);
  if (!store.content.has(target.digest) || !(isIndexType(target.mediaType) || isManifestType(target.mediaType)))
    return parts;
  try {
    for (const { descriptor, manifest, isHere } of manifestsOf(store, target)) {
      const { config } = manifest;
      if (!isHere || !isConfigType(config.mediaType)) continue;
      for (const digest of [descriptor.digest, config.digest]) parts.add(digest);
      const uppermost = chainIdsOf(parseImageConfig(store.content.read(config.digest)).rootfs.diff_ids).at(-1);
      if (uppermost) parts.add(uppermost);
    }
  } catch (error) {
    // What is damaged says no more; its layers stay as long as the container all the same.
    if (!(error instanceof TareError)) throw error;
  }
  return parts;
}

/** The entry is, or has among its platforms, what an id has found. */
function stands(store: Images, target: Descriptor, found: Descriptor): boolean {
  if (target.digest === found.digest) return true;
  if (!isIndexType(target.mediaType) || !store.content.has(target.digest)) return false;
  return [...readableManifests(store, target)].some(({ descriptor }) => descriptor.digest === found.digest);
}

/** By a digest also what has a tag of that repository. */
function isSame(one: Reference, asked: Reference, target: Descriptor): boolean {
  if (one.registry !== asked.registry || one.repository !== asked.repository) return false;
  return asked.digest === undefined ? one.tag === asked.tag && one.digest === undefined : one.digest === target.digest;
}
