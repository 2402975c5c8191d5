/**
 * What each layer of an image changed, read from the layers as they are stored: their headers are enough, so nothing is unpacked. The history of the image's
 * config says beside each layer which command made it. layer.md, config.md ("history")
 */
import { TareError } from '../../kernel/error.js';
import { type Descriptor, type Digest, type HistoryEntry, shortDigest } from '../../oci/image/index.js';
import { DEFAULT_BUDGET, Meter } from '../layer/budget.js';
import { decompressed } from '../layer/compression.js';
import { joinName, OPAQUE, splitEntryName, splitLinkName, WHITEOUT } from '../layer/names.js';
import { compressionOf, sniff } from '../layer/sniff.js';
import { tarEntries } from '../layer/tar/reader.js';
import type { ContentStore, Image } from '../types.js';
import { ChangeTree, type LayerChanges } from './tree.js';

export type { Change, LayerChanges } from './tree.js';

export interface ImageChanges {
  readonly layers: readonly LayerReport[];
  /** Bytes in all files of all layers. */
  readonly bytes: number;
  /** Of these, bytes of files that a later layer changed or removed. */
  readonly wasted: number;
  /** The part that is not wasted, from 0 to 1. */
  readonly efficiency: number;
}

export interface LayerReport extends LayerChanges {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** undefined where the config has no history of it. */
  readonly history: HistoryEntry | undefined;
}

/** Of all layers together: about a gigabyte of memory. */
const MAX_ENTRIES = 1_500_000;
const MAX_NAME_BYTES = 200 << 20;

/** @throws TareError `protocol` a layer is damaged or hostile, `not-found` it is not in the store, `busy` the image has too many files to be looked at */
export async function imageChanges(
  content: Pick<ContentStore, 'stream'>,
  { manifest, config }: Pick<Image, 'manifest' | 'config'>,
): Promise<ImageChanges> {
  const tree = new ChangeTree();
  let entries = 0;
  let nameBytes = 0;
  const count = (name: Buffer) => {
    entries++;
    nameBytes += name.length;
    if (entries > MAX_ENTRIES || nameBytes > MAX_NAME_BYTES)
      throw new TareError(
        'busy',
        `the image has more than ${MAX_ENTRIES} files, or ${MAX_NAME_BYTES} bytes in their names: too many to be compared`,
      );
  };
  for (const descriptor of manifest.layers) {
    tree.begin();
    try {
      await readLayer(content, descriptor, tree, count);
    } catch (error) {
      if (!(error instanceof TareError)) throw error;
      throw new TareError(error.code, `layer ${shortDigest(descriptor.digest)}: ${error.message}`, { cause: error });
    }
  }
  const history = (config.history ?? []).filter(({ empty_layer }) => !empty_layer);
  const layers = manifest.layers.map((descriptor, i) => ({
    ...(tree.layers[i] as LayerChanges),
    descriptor,
    diffId: config.rootfs.diff_ids[i] as Digest,
    history: history[i],
  }));
  const bytes = sum(layers.map((layer) => layer.bytes));
  const wasted = sum(layers.map((layer) => layer.wasted));
  return { layers, bytes, wasted, efficiency: bytes === 0 ? 1 : (bytes - wasted) / bytes };
}

async function readLayer(
  content: Pick<ContentStore, 'stream'>,
  { digest }: Descriptor,
  tree: ChangeTree,
  count: (name: Buffer) => void,
): Promise<void> {
  const blob = content.stream(digest);
  try {
    const { head, whole } = await sniff(blob as AsyncIterable<Uint8Array>);
    const meter = new Meter(DEFAULT_BUDGET);
    const compressed = metered(whole, (size) => {
      meter.compressed += size;
    });
    const plain = metered(decompressed(compressed, compressionOf(head)), (size) => meter.addBytes(size));
    for await (const entry of tarEntries(plain)) {
      meter.addEntry();
      count(entry.name);
      const split = splitEntryName(entry.name, DEFAULT_BUDGET);
      if (!split) continue;
      const { parent, base } = split;
      if (base === OPAQUE) tree.clear(parent);
      else if (base.startsWith(WHITEOUT)) tree.remove(joinName(parent, base.slice(WHITEOUT.length)));
      else tree.add(joinName(parent, base), entry, linkOf(entry));
    }
  } finally {
    blob.destroy();
  }
}

function linkOf({ type, name, linkName }: { type: string; name: Buffer; linkName: Buffer }): string | undefined {
  if (type !== 'link') return undefined;
  const target = splitLinkName(linkName, name, DEFAULT_BUDGET);
  return joinName(target.parent, target.base);
}

async function* metered(
  source: AsyncIterable<Uint8Array>,
  add: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    add(chunk.length);
    yield chunk;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
