/**
 * Layers made of what has changed: of an overlay's upper folder, or between two trees. The archive is the same for the same trees, whenever and wherever
 * it is made: entries are in the order of their names, and nothing but what a layer keeps is looked at. layer.md, "Creating"
 */
import { native } from '../../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from '../../kernel/constants/open.js';
import { TareError } from '../../kernel/error.js';
import { OwnedFd } from '../../kernel/fd.js';
import { type TarSink, TarWriter } from '../layer/index.js';
import { mountOverlay } from '../snapshot/merged.js';
import type { OverlayFolders } from '../types.js';
import type { LayerEntry } from './entries.js';
import { Node } from './node.js';
import { pulled } from './pulled.js';
import { treeEntries } from './trees.js';
import { upperEntries } from './upper.js';

/** How a layer is written from what has changed. */
export interface DiffOptions {
  /** SOURCE_DATE_EPOCH: in seconds since 1970; what is younger is given this time. https://reproducible-builds.org/specs/source-date-epoch/ */
  readonly epoch?: number;
  readonly signal?: AbortSignal;
}

/**
 * The layer of a container, or a build's step: what its upper folder has that the folders below have not, as an uncompressed tar archive. Nobody may
 * write to it meanwhile.
 * @throws TareError `unsupported` for a file whose name begins with `.wh.`, `state` when a file changed while it was read
 */
export async function* layerOfUpper(
  { upper, lower }: OverlayFolders,
  options: DiffOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  if (upper === undefined) throw new TareError('internal', 'an overlay without an upper folder has changed nothing');
  using below = await mountOverlay({ lower });
  using folder = new OwnedFd(native.open(upper, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  using from = Node.of(below.fd);
  using to = Node.of(folder.fd);
  yield* archive(upperEntries(to, from), options);
}

/**
 * The layer that makes `after` of `before`, both descriptors of directories; of nothing (undefined), all of `after`. As an uncompressed tar archive.
 * @throws as layerOfUpper
 */
export async function* layerOfTrees(
  before: number | undefined,
  after: number,
  options: DiffOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  using from = before === undefined ? undefined : Node.of(before);
  using to = Node.of(after);
  yield* archive(treeEntries(from, to), options);
}

async function* archive(
  entries: AsyncIterable<LayerEntry>,
  { epoch, signal }: DiffOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const latest = epoch === undefined ? undefined : BigInt(epoch) * 1_000_000_000n;
  const write = async (sink: TarSink) => {
    const writer = new TarWriter(sink);
    for await (const { header, chunks } of entries) {
      signal?.throwIfAborted();
      const isLate = latest !== undefined && header.mtimeNs > latest;
      await writer.add(isLate ? { ...header, mtimeNs: latest } : header, chunks());
    }
    await writer.finish();
  };
  yield* pulled(write);
}
