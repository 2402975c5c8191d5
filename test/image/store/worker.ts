/**
 * A process that uses a store all the time, to be killed at any moment: `write` pulls, unpacks, names and removes images, `collect` collects garbage.
 * Whatever it holds a lease of must be there; it ends with exit code 3 when something is not.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseReference } from '../../../runtime/image/reference.js';
import { removeImage } from '../../../runtime/image/remove.js';
import { chainIdsOf } from '../../../runtime/image/snapshot/chain.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import type { Lease } from '../../../runtime/image/types.js';
import { TareError } from '../../../runtime/kernel/error.js';
import type { Digest } from '../../../runtime/oci/image/index.js';
import { makeImage, makeLayer, type TestImage } from '../../harness/images.js';

const [mode, root, containers] = process.argv.slice(2) as [string, string, string];
const store = await ImageStore.open(root);
process.stdout.write('ready\n');
for (let turn = 0; ; turn++) {
  if (mode === 'collect') await store.collectGarbage({ partials: true });
  else await pull(turn);
}

async function pull(turn: number): Promise<void> {
  const image = someImage();
  const name = `app:${pick(4)}`;
  using lease = store.lease();
  for (const [digest, data] of image.blobs) await ingest(digest, data, lease);
  const chain = await unpack(image, lease);
  for (const digest of image.blobs.keys()) if (!store.content.has(digest)) fail(`lost ${digest}`);
  for (const chainId of chain) if (!store.layers.find(chainId)) fail(`lost the layer ${chainId}`);
  await store.names.set(parseReference(name), image.manifestDescriptor);
  if (turn % 3 === 0) store.cache.set(`key ${pick(3)}`, turn, { blobs: [image.id], snapshots: chain });
  if (turn % 4 === 0) container(chain.at(-1) as Digest);
  if (turn % 5 === 0) await forget(`app:${pick(4)}`);
}

/** Two layers of few, so that images share them. */
function someImage(): TestImage {
  return makeImage(
    [1, 2].map((level) => makeLayer([{ path: 'file', content: `${level} ${pick(3)}`.repeat(40_000) }], 'none')),
  );
}

async function ingest(digest: Digest, data: Buffer, lease: Lease): Promise<void> {
  await using one = await store.content.ingest({ digest, size: data.length }, lease);
  if (!one) return;
  for (let at = one.offset; at < data.length; at += 50_000) await one.write(data.subarray(at, at + 50_000));
  await one.commit();
}

async function unpack({ config }: TestImage, lease: Lease): Promise<Digest[]> {
  const diffIds = config.rootfs.diff_ids;
  const chain = chainIdsOf(diffIds);
  for (const [i, chainId] of chain.entries()) {
    lease.addSnapshot(chainId);
    if (store.layers.find(chainId)) continue;
    await using scratch = await store.scratch();
    mkdirSync(join(scratch.path, 'fs', 'folder'), { recursive: true });
    for (let file = 0; file < 20; file++) writeFileSync(join(scratch.path, 'fs', 'folder', `${file}`), 'content');
    const parent = i > 0 ? { parent: chain[i - 1] } : {};
    store.layers.publish(scratch.path, { chainId, ...parent, diffId: diffIds[i] as Digest, size: 4096 });
  }
  return chain;
}

/** One that comes, or one that goes. */
function container(chainId: Digest): void {
  const folder = join(containers, `${pick(3)}`);
  rmSync(folder, { recursive: true, force: true });
  if (pick(2) === 0) return;
  mkdirSync(folder, { recursive: true });
  store.lease(folder).addSnapshot(chainId);
}

async function forget(name: string): Promise<void> {
  try {
    await removeImage(store, name, { force: true });
  } catch (error) {
    if (!(error instanceof TareError && error.code === 'not-found')) throw error;
  }
}

function pick(count: number): number {
  return Math.floor(Math.random() * count);
}

function fail(what: string): never {
  process.stdout.write(`${what}\n`);
  process.exit(3);
}
