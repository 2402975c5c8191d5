/** Layers: tar archives read and written, packed and unpacked, applied to a folder and settled over the layers below. */
export { type AppliedLayer, type ApplyOptions, applyLayer } from './apply.js';
export { type Budget, DEFAULT_BUDGET, Meter } from './budget.js';
export { type CompressOptions, compress, decompress, decompressed, drained } from './compression.js';
export type { Skipped, Unsettled, UnsettledLink } from './layer-writer.js';
export { type SettleOptions, settleLayer } from './settle.js';
export {
  compressionOf,
  firstBytes,
  foreignCompression,
  isTarHeader,
  looksLikeJson,
  looksLikeTar,
  SNIFF_BYTES,
  type Sniffed,
  sniff,
} from './sniff.js';
export { showName } from './tar/bytes.js';
export { tarEntries } from './tar/reader.js';
export { BLOCK, type Extent, type TarEntry, type TarHeader, type TarType, type Xattr } from './tar/types.js';
export { type NewEntry, type TarContent, type TarSink, TarWriter } from './tar/writer.js';
export { isOpaque, isOverlayXattr, isWhiteout, makeOpaque, makeWhiteout, type OverlayFlavour } from './whiteout.js';
