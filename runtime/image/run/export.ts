/** A container's tree as a tar archive: what `tare export` writes and `tare import` reads. Ids are those that the container knows. */

import type { IdMapping } from '../../oci/index.js';
import { Node } from '../diff/node.js';
import { treeEntries } from '../diff/trees.js';
import { type TarSink, TarWriter } from '../layer/index.js';

export interface ExportOptions {
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
  readonly signal?: AbortSignal;
}

/**
 * @param tree a descriptor of the root's directory
 * @throws TareError `state` when a file changes while it is read
 */
export async function exportTree(tree: number, sink: TarSink, { uids, gids, signal }: ExportOptions): Promise<void> {
  using root = Node.of(tree);
  const writer = new TarWriter(sink);
  for await (const { header, chunks } of treeEntries(undefined, root)) {
    signal?.throwIfAborted();
    await writer.add({ ...header, uid: idIn(uids, header.uid), gid: idIn(gids, header.gid) }, chunks());
  }
  await writer.finish();
}

/** Nobody's in there: the id that the kernel shows for those. */
const OVERFLOW = 65_534;

function idIn(mappings: readonly IdMapping[], id: number): number {
  const found = mappings.find(({ hostID, size }) => id >= hostID && id < hostID + size);
  return found ? id - found.hostID + found.containerID : OVERFLOW;
}
