/**
 * Writes a layer into an empty folder: what its archive says, as an overlay's layer. Everything is made by the descriptor of the folder it lies
 * in, by a name of one component that is not followed, so no entry reaches outside whatever the archive has. Nothing of it depends on the
 * layers below: what does is handed back to be settled. image-spec layer.md; CVE-2019-14271, CVE-2021-32760
 */
import { createHash } from 'node:crypto';
import type { Compression, Digest } from '../../oci/image/index.js';
import { type Budget, DEFAULT_BUDGET, Meter } from './budget.js';
import { decompressed } from './compression.js';
import { entryError } from './errors.js';
import { LayerWriter, type Skipped, type Unsettled } from './layer-writer.js';
import { tarEntries } from './tar/reader.js';
import type { OverlayFlavour } from './whiteout.js';

export interface ApplyOptions {
  /** Whose attributes make a folder opaque; `trusted` unless told. */
  readonly overlay?: OverlayFlavour;
  /** `skip` for those who cannot make devices; they are counted. `make` unless told. */
  readonly devices?: 'make' | 'skip';
  readonly budget?: Partial<Budget>;
  readonly signal?: AbortSignal;
  /** How many bytes of `source` have been read. */
  readonly onBytes?: (total: number) => void;
}

export interface AppliedLayer {
  /** Of the uncompressed archive. */
  readonly diffId: Digest;
  /** Of the uncompressed archive, in bytes. */
  readonly size: number;
  readonly entries: number;
  readonly unsettled: Unsettled;
  /** What could not be made here and was left out, by number. */
  readonly skipped: Skipped;
}

/**
 * @param target an O_PATH descriptor of an empty folder. It is the caller's to remove when this fails.
 * @throws TareError `protocol` (what is wrong with the layer, naming the entry), `no-space`, `system-call`; what `source` throws
 */
export async function applyLayer(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  target: number,
  options: ApplyOptions = {},
): Promise<AppliedLayer> {
  const meter = new Meter({ ...DEFAULT_BUDGET, ...options.budget });
  const hash = createHash('sha256');
  const layer = new LayerWriter(target, meter, options);
  try {
    const packed = counted(source, meter, options);
    for await (const entry of tarEntries(hashed(decompressed(packed, compression), hash, meter))) {
      meter.addEntry();
      try {
        await layer.add(entry);
      } catch (error) {
        throw entryError(error, entry.name);
      }
    }
    const { unsettled, skipped } = layer.finish();
    const diffId = `sha256:${hash.digest('hex')}` as Digest;
    return { diffId, size: meter.uncompressed, entries: meter.entries, unsettled, skipped };
  } finally {
    layer.close();
  }
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  meter: Meter,
  { signal, onBytes }: ApplyOptions,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    signal?.throwIfAborted();
    meter.compressed += chunk.length;
    onBytes?.(meter.compressed);
    yield chunk;
  }
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
  meter: Meter,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of source) {
    meter.addBytes(chunk.length);
    hash.update(chunk);
    yield chunk;
  }
}
