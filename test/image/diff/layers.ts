/** Layers made and put back: the archive as a whole, and the tree that it makes over another. */
import { mkdirSync } from 'node:fs';
import { applyLayer, settleLayer } from '../../../runtime/image/layer/index.js';
import { mountOverlay } from '../../../runtime/image/snapshot/index.js';
import { native } from '../../../runtime/kernel/addon.js';
import { O_DIRECTORY, O_PATH } from '../../../runtime/kernel/constants/open.js';
import { OwnedFd } from '../../../runtime/kernel/fd.js';
import { describeTree, type Tree } from '../../harness/tree.js';

export async function whole(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export function open(folder: string): OwnedFd {
  return new OwnedFd(native.open(folder, O_PATH | O_DIRECTORY));
}

/** The tree of a layer over another tree. @param scratch is made */
export async function applied(tar: Buffer, lower: string, scratch: string): Promise<Tree> {
  mkdirSync(scratch);
  using target = open(scratch);
  using below = open(lower);
  const { unsettled } = await applyLayer(one(tar), 'none', target.fd);
  settleLayer(unsettled, target.fd, [below.fd]);
  using merged = await mountOverlay({ lower: [scratch, lower] });
  return describeTree(seen(merged));
}

/** The path by which another process sees it. */
export function seen(merged: OwnedFd): string {
  return `/proc/${process.pid}/fd/${merged.fd}/.`;
}

async function* one(tar: Buffer): AsyncGenerator<Uint8Array> {
  yield tar;
}
