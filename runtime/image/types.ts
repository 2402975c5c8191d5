/**
 * What the parts of image/ are to each other. Blobs are files, named by their digest, in an OCI image layout; names are entries of its
 * index.json; a layer that is unpacked is a snapshot; a lease keeps what is being worked with from being collected.
 */
import type { Readable } from 'node:stream';
import type { Descriptor, Digest, ImageConfig, ImageManifest, Platform } from '../oci/image/index.js';
import type { OverlayFolders } from '../oci/index.js';
import type { Reference } from './reference.js';

/** Blobs: verified while they are written, there as a whole or not at all. */
export interface ContentStore {
  has(digest: Digest): boolean;
  /** In bytes; undefined when it is not there. */
  size(digest: Digest): number | undefined;
  /** Where it lies. @throws TareError `not-found` */
  path(digest: Digest): string;
  /** A whole small blob (a manifest, a config), its digest checked once more. @throws TareError `not-found`, `protocol`, `busy` when it is larger than `maxBytes` (4 MiB) */
  read(digest: Digest, maxBytes?: number): Buffer;
  /** @throws TareError `not-found` */
  stream(digest: Digest): Readable;
  /**
   * Begins to write a blob that is known by its descriptor, or goes on where it was interrupted. Of several who ask for one digest, also in
   * other processes, one writes; the others wait, and get undefined when it is there. The lease keeps it from then on.
   */
  ingest(
    expected: Pick<Descriptor, 'digest' | 'size'>,
    lease: Lease,
    signal?: AbortSignal,
  ): Promise<Ingest | undefined>;
  /** Begins to write a blob whose digest is not known before it is whole. */
  create(lease: Lease): Promise<Ingest>;
  /** Writes a small blob. */
  put(data: Uint8Array, mediaType: string, lease: Lease): Promise<Descriptor>;
  /** Every blob that is there. */
  list(): Iterable<{ readonly digest: Digest; readonly size: number }>;
}

/** A blob that is being written. Disposed of without commit: what is known by its digest stays to be resumed, else it goes. */
export interface Ingest extends AsyncDisposable {
  /** How many bytes are there already. */
  readonly offset: number;
  /** @throws TareError `protocol` when it gets longer than it was said to be, `no-space` */
  write(chunk: Uint8Array): Promise<void>;
  /** Forgets what is there: the server does not know ranges. */
  restart(): Promise<void>;
  /** Checks digest and size, and makes it visible. @throws TareError `protocol`, and what was written is gone */
  commit(): Promise<{ readonly digest: Digest; readonly size: number }>;
}

/** Keeps blobs and snapshots. One of a process goes with the process; one of a folder (a container's state) with the folder. */
export interface Lease extends Disposable {
  readonly id: string;
  addBlob(digest: Digest): void;
  addSnapshot(chainId: Digest): void;
}

/** Names, and what they stand for: index.json of the layout. */
export interface ImageNames {
  /** By name and tag, or by digest where one has been stored under it. */
  get(reference: Reference): Descriptor | undefined;
  set(reference: Reference, target: Descriptor): Promise<void>;
  /** False when there was none. */
  delete(reference: Reference): Promise<boolean>;
  /** `reference` is the full name (`docker.io/library/debian:12`); undefined of what lost its name to another image. */
  list(): readonly { readonly reference: Reference | undefined; readonly target: Descriptor }[];
}

/** One image of one platform, read and checked. */
export interface Image {
  /** What was asked for; undefined when it was asked for by id. */
  readonly reference?: Reference;
  /** What the name stands for: a manifest, or an index of several platforms. */
  readonly target: Descriptor;
  readonly manifestDescriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  /** The digest of the config: Docker's image id. */
  readonly id: Digest;
}

/** What a transfer, an unpacking or a build step tells while it goes on. */
export interface Progress {
  /** What it is about: a short digest, a step's number. The same for all that is told of one thing. */
  readonly id: string;
  readonly action:
    | 'waiting'
    | 'downloading'
    | 'resuming'
    | 'verifying'
    | 'unpacking'
    | 'uploading'
    | 'mounted'
    | 'exists'
    | 'retrying'
    | 'done';
  /** In bytes, where that says something. */
  readonly current?: number;
  readonly total?: number;
  /** A sentence, such as why it is tried again. */
  readonly detail?: string;
}
/** Told how far a transfer is; often, so it must be quick. */
export type OnProgress = (progress: Progress) => void;

export type { OverlayFolders };

/** For `Snapshots.unpack`. */
export interface UnpackOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called for each layer, and waited for: while an image is pulled, until the layer's blob is in the store. */
  readonly arrived?: (layer: Descriptor) => Promise<unknown>;
}

/** Layers that are unpacked, each in a folder of its own, known by their chain id (config.md, "Layer ChainID"). */
export interface Snapshots {
  /**
   * Unpacks the layers that are not there yet, several at a time, and gives the chain id of the uppermost; undefined of an image without layers
   * (FROM scratch). Kept by the lease.
   * @throws TareError `protocol` (a hostile or damaged layer), `no-space`: nothing of the layer is left then
   */
  unpack(image: Pick<Image, 'manifest' | 'config'>, lease: Lease, options?: UnpackOptions): Promise<Digest | undefined>;
  has(chainId: Digest): boolean;
  /**
   * The folders of the layer and those below it, the uppermost first; none of no layer.
   * @throws TareError `not-found`; `unsupported` when a process of another user namespace has unpacked one: see `SnapshotFacts.overlay`
   */
  lower(chainId: Digest | undefined): readonly string[];
  /** Bytes on disk of this layer alone. */
  usage(chainId: Digest): number;
  /** A new empty upper and work folder over it, in `folder`, which is the caller's to remove. O(1) in the size of the image. `undefined`: over nothing. */
  prepare(chainId: Digest | undefined, folder: string): OverlayFolders;
  /**
   * A finished upper folder becomes the snapshot of a layer without being unpacked again.
   * @returns its chain id. When that is there already the folder is removed.
   */
  adopt(upper: string, parent: Digest | undefined, diffId: Digest, lease: Lease): Promise<Digest>;
}

export type { Platform };
