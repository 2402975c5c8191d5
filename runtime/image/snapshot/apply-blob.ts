/** One layer's blob into its folder, in the thread that calls: what snapshot/index.ts does for a small layer, and layer-thread.ts for a large one. */
import { createReadStream, type ReadStream } from 'node:fs';
import { type AppliedLayer, applyLayer, compressionOf, type OverlayFlavour, sniff } from '../layer/index.js';
import { treeUsageAt } from './tree-usage.js';

/** What is said of a layer to the thread that applies it: nothing but text and numbers. */
export interface LayerRequest {
  /** Of the blob. */
  readonly path: string;
  /** A descriptor of the folder, empty; it stays the caller's. Threads of a process share their descriptors. */
  readonly target: number;
  readonly overlay: OverlayFlavour;
}

export interface ApplyBlobOptions {
  readonly signal?: AbortSignal;
  /** How many bytes of the blob have been read. */
  readonly onBytes?: (total: number) => void;
}

export interface AppliedBlob extends AppliedLayer {
  /** Bytes on disk; undefined where the layers below may still add to them. */
  readonly usage: number | undefined;
}

/** Read-ahead, in bytes. */
const CHUNK = 1 << 20;

/** When it is over, no file is open any more that it has opened. @throws as `applyLayer` */
export async function applyBlob(request: LayerRequest, options: ApplyBlobOptions): Promise<AppliedBlob> {
  const { path, target, overlay } = request;
  // Nobody makes devices in a user namespace.
  const devices = overlay === 'trusted' ? 'make' : 'skip';
  const blob = createReadStream(path, { highWaterMark: CHUNK });
  let applied: AppliedLayer;
  try {
    const { head, whole } = await sniff(blob as AsyncIterable<Uint8Array>);
    applied = await applyLayer(whole, compressionOf(head), target, { ...options, overlay, devices });
  } finally {
    await closed(blob);
  }
  const { folders, links } = applied.unsettled;
  // The root takes attributes from below and no more; other folders may be moved, and links become files.
  const isFinal = links.length === 0 && folders.every((folder) => folder === '');
  return { ...applied, usage: isFinal ? treeUsageAt(target) : undefined };
}

async function closed(stream: ReadStream): Promise<void> {
  stream.destroy();
  if (!stream.closed) await new Promise<void>((resolve) => stream.once('close', resolve));
}
