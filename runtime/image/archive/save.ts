/**
 * Images of the store into an archive or a folder. Several names of one image are one image there, with all of its names. What is being
 * written is kept by a lease: nobody collects it meanwhile.
 */
import type { Platform } from '../../oci/image/index.js';
import { type FoundImage, findImage, imageOf, loadImage, manifestsOf } from '../image.js';
import type { TarSink } from '../layer/index.js';
import { familiarName, type Reference } from '../reference.js';
import type { Lease, OnProgress } from '../types.js';
import type { ArchiveStore } from './contents.js';
import { saveDocker } from './save-docker.js';
import { saveOciArchive, saveOciFolder } from './save-oci.js';

export interface SaveOptions {
  /** Only this one, of images that are made for several; of a docker archive this machine's unless told. */
  readonly platform?: Platform;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** @throws TareError `not-found`, `usage`, `protocol`, `unsupported`; what `sink` throws */
export async function saveArchive(
  store: ArchiveStore,
  names: readonly string[],
  format: 'docker' | 'oci',
  sink: TarSink,
  options: SaveOptions = {},
): Promise<void> {
  using lease = store.lease();
  const images = findAll(store, names, lease, options.platform);
  if (format === 'oci') return saveOciArchive(store.content, images, sink, options);
  const chosen = images.map(({ target, references, name }) => ({
    image: imageOf(store, target, options.platform, name),
    references,
  }));
  return saveDocker(store.content, chosen, sink, options);
}

/** An OCI image layout, into an empty folder. @throws as `saveArchive` */
export async function saveLayout(
  store: ArchiveStore,
  names: readonly string[],
  folder: string,
  options: SaveOptions = {},
): Promise<void> {
  using lease = store.lease();
  await saveOciFolder(store.content, findAll(store, names, lease, options.platform), folder, options);
}

interface Wanted {
  readonly target: FoundImage['target'];
  readonly references: readonly Reference[];
  readonly name: string;
}

function findAll(store: ArchiveStore, names: readonly string[], lease: Lease, platform?: Platform): Wanted[] {
  const found = new Map<string, { target: FoundImage['target']; references: Reference[]; name: string }>();
  for (const name of names) {
    const { reference, target: whole } = findImage(store, name);
    const target = platform ? loadImage(store, name, platform).manifestDescriptor : whole;
    const one = found.get(target.digest) ?? {
      target,
      references: [],
      name: reference ? familiarName(reference) : name,
    };
    // A digest says what the image is, and not what it is called.
    if (reference?.tag !== undefined) one.references.push({ ...reference, digest: undefined });
    found.set(target.digest, one);
  }
  for (const { target } of found.values()) keep(store, target, lease);
  return [...found.values()];
}

function keep(store: ArchiveStore, target: FoundImage['target'], lease: Lease): void {
  lease.addBlob(target.digest);
  for (const { descriptor, manifest, isHere } of manifestsOf(store, target))
    if (isHere) for (const { digest } of [descriptor, manifest.config, ...manifest.layers]) lease.addBlob(digest);
}
