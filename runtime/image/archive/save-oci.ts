/**
 * An OCI image layout, as an archive or a folder: every blob as it is in the store, all platforms that are here. Nothing is packed or unpacked.
 * The names are those that skopeo, Podman, umoci and containerd look for. image-layout.md
 */
import { constants } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Descriptor,
  isIndexType,
  isManifestType,
  LAYOUT_FILE,
  layoutIndex,
  parseIndex,
  splitDigest,
} from '../../oci/image/index.js';
import { readManifest } from '../image.js';
import { type TarSink, TarWriter } from '../layer/index.js';
import { fullName, type Reference } from '../reference.js';
import type { ContentStore, OnProgress } from '../types.js';
import { plainFile, plainFolder } from './entries.js';
import { nameAnnotations } from './layout.js';

export interface OciImage {
  readonly target: Descriptor;
  readonly references: readonly Reference[];
}

interface Options {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** @throws TareError `not-found` when a blob is missing */
export async function saveOciArchive(
  content: ContentStore,
  images: readonly OciImage[],
  sink: TarSink,
  { onProgress, signal }: Options = {},
): Promise<void> {
  const archive = new TarWriter(sink);
  for (const folder of ['blobs', 'blobs/sha256']) await archive.add(plainFolder(folder));
  for (const { digest } of blobsOf(content, images)) {
    signal?.throwIfAborted();
    // As long as the file is, so that a damaged one is told by its digest when it is read.
    const size = content.size(digest) ?? 0;
    await archive.add(plainFile(blobName(digest), size), content.stream(digest));
    onProgress?.({ id: splitDigest(digest).hex.slice(0, 12), action: 'done', current: size, total: size });
  }
  for (const [name, text] of [
    ['index.json', indexJson(images)],
    ['oci-layout', LAYOUT_FILE],
  ] as const)
    await archive.add(plainFile(name, Buffer.byteLength(text)), Buffer.from(text));
  await archive.finish();
}

/** Into an empty folder. Blobs share their data with the store's, where the file system can. */
export async function saveOciFolder(
  content: ContentStore,
  images: readonly OciImage[],
  folder: string,
  { onProgress, signal }: Options = {},
): Promise<void> {
  for (const { digest } of blobsOf(content, images)) {
    signal?.throwIfAborted();
    const path = join(folder, blobName(digest));
    await mkdir(join(path, '..'), { recursive: true });
    await copyFile(content.path(digest), path, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    const size = content.size(digest) ?? 0;
    onProgress?.({ id: splitDigest(digest).hex.slice(0, 12), action: 'done', current: size, total: size });
  }
  await writeFile(join(folder, 'index.json'), indexJson(images));
  await writeFile(join(folder, 'oci-layout'), LAYOUT_FILE);
}

function blobName(digest: Descriptor['digest']): string {
  const { algorithm, hex } = splitDigest(digest);
  return `blobs/${algorithm}/${hex}`;
}

/** An image of several names is there several times: so each is found by its own. */
function indexJson(images: readonly OciImage[]): string {
  return layoutIndex(
    images.flatMap(({ target, references }) =>
      references.length === 0
        ? [target]
        : references.map((reference) => ({
            ...target,
            annotations: { ...target.annotations, ...nameAnnotations(fullName(reference)) },
          })),
    ),
  );
}

/** Everything that is reached, each once, contents before what names them. */
function blobsOf(content: ContentStore, images: readonly OciImage[]): Descriptor[] {
  const found = new Map<string, Descriptor>();
  const visit = (descriptor: Descriptor): void => {
    const { mediaType, digest } = descriptor;
    if (found.has(digest)) return;
    if (isIndexType(mediaType)) {
      const { manifests } = parseIndex(content.read(digest), { mediaType, what: digest });
      // What was not pulled of an index is not there to be saved.
      for (const one of manifests) if (content.has(one.digest)) visit(one);
    } else if (isManifestType(mediaType)) {
      const { config, layers } = readManifest(content, descriptor);
      for (const part of [...layers, config]) visit(part);
    }
    content.path(digest);
    found.set(digest, descriptor);
  };
  for (const { target } of images) visit(target);
  return [...found.values()];
}
