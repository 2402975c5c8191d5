/**
 * Looks whether everything is as it must be: each blob has the digest that is its name, each name stands for something that is there as a whole, each snapshot
 * has its folder and the ones below it. What a command that was killed has left is no fault: `collect.ts` takes it away. Nothing is changed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TareError } from '../../kernel/error.js';
import {
  type Descriptor,
  type Digest,
  hashFor,
  isConfigType,
  isIndexType,
  isManifestType,
  splitDigest,
} from '../../oci/image/index.js';
import { manifestsOf, readConfig } from '../image.js';
import { familiarName } from '../reference.js';
import type { OnProgress } from '../types.js';
import type { Collectable } from './collect.js';
import { readFacts } from './snapshot-folders.js';

export interface Problem {
  /** A digest, the name of an image, or a path. */
  readonly what: string;
  /** Goes on after it: `is missing`. */
  readonly message: string;
  /** The blob whose content is wrong: removed, it can be pulled again. */
  readonly damaged?: Digest;
}

export interface Verified {
  readonly blobs: number;
  readonly bytes: number;
  readonly images: number;
  readonly snapshots: number;
  readonly problems: readonly Problem[];
}

export async function verify(store: Collectable, onProgress: OnProgress = () => undefined): Promise<Verified> {
  const problems: Problem[] = [];
  const database = store.database.check();
  if (database !== undefined) problems.push({ what: 'tare.db', message: `is damaged: ${database}` });
  const { blobs, bytes } = await verifyBlobs(store, problems, onProgress);
  const images = verifyNames(store, problems);
  const snapshots = verifySnapshots(store, problems);
  return { blobs, bytes, images, snapshots, problems };
}

async function verifyBlobs({ content }: Collectable, problems: Problem[], onProgress: OnProgress) {
  const all = [...content.list()];
  const total = all.reduce((sum, { size }) => sum + size, 0);
  let current = 0;
  for (const { digest, size } of all) {
    onProgress({ id: 'blobs', action: 'verifying', current, total });
    const hash = hashFor(digest);
    try {
      for await (const chunk of content.stream(digest)) hash.update(chunk as Buffer);
    } catch (error) {
      // Somebody has removed it since it was listed.
      if (!content.has(digest)) continue;
      problems.push({ what: digest, message: `cannot be read: ${(error as Error).message}`, damaged: digest });
      continue;
    }
    if (hash.digest('hex') !== splitDigest(digest).hex)
      problems.push({ what: digest, message: 'is damaged: its content is another', damaged: digest });
    current += size;
  }
  onProgress({ id: 'blobs', action: 'done', current, total });
  return { blobs: all.length, bytes: total };
}

function verifyNames(store: Collectable, problems: Problem[]): number {
  let entries: ReturnType<Collectable['names']['list']>;
  try {
    entries = store.names.list();
  } catch (error) {
    problems.push({ what: 'index.json', message: `cannot be used: ${sentence(error)}` });
    return 0;
  }
  for (const { reference, target } of entries) {
    const name = reference ? familiarName(reference) : target.digest;
    try {
      verifyTarget(store, name, target, problems);
    } catch (error) {
      problems.push({ what: name, message: `cannot be used: ${sentence(error)}` });
    }
  }
  return entries.length;
}

function verifyTarget({ content }: Collectable, name: string, target: Descriptor, problems: Problem[]): void {
  if (!isThere(content, name, target, problems) || !(isIndexType(target.mediaType) || isManifestType(target.mediaType)))
    return;
  let isEmpty = true;
  for (const { descriptor, manifest } of manifestsOf({ content }, target)) {
    isEmpty = false;
    const parts = [manifest.config, ...manifest.layers];
    const whole = parts.map((part) => isThere(content, name, part, problems)).every((ok) => ok);
    // Of an artifact nobody but its makers knows what it must be.
    if (whole && isConfigType(manifest.config.mediaType)) readConfig(content, manifest, descriptor.digest);
  }
  if (isEmpty) problems.push({ what: name, message: 'has no platform that is here' });
}

function isThere(
  content: Collectable['content'],
  name: string,
  { digest, size }: Descriptor,
  problems: Problem[],
): boolean {
  const there = content.size(digest);
  if (there === size) return true;
  const message =
    there === undefined ? `lacks ${digest}` : `wants ${digest} to have ${size} bytes, and it has ${there}`;
  problems.push({ what: name, message });
  return false;
}

function verifySnapshots({ root, layers }: Collectable, problems: Problem[]): number {
  const folder = join(root, 'snapshots');
  const all = layers.list();
  const known = new Set(all.map(({ chainId }) => chainId));
  for (const { id, chainId, parent } of all) {
    const path = join(folder, String(id));
    if (!existsSync(join(path, 'fs'))) problems.push({ what: path, message: `is missing: the layer ${chainId}` });
    else if (readFacts(path)?.chainId !== chainId)
      problems.push({ what: path, message: `does not say that it is the layer ${chainId}` });
    if (parent !== undefined && !known.has(parent))
      problems.push({ what: path, message: `lies over ${parent}, which is missing` });
  }
  return all.length;
}

function sentence(error: unknown): string {
  if (error instanceof TareError) return error.message;
  throw error;
}
