/**
 * Images out of archives and layouts into the store: what `docker save`, `podman save`, `skopeo` and Tare write, packed or not, from a pipe or
 * a file, or as a folder. Names are given at the very end, when all of it is there and checked.
 */
import { TareError } from '../../kernel/error.js';
import { type Descriptor, type Digest, MAX_DOCUMENT } from '../../oci/image/index.js';
import { manifestsOf } from '../image.js';
import { compressionOf, decompressed, foreignCompression, looksLikeTar, sniff } from '../layer/index.js';
import { parseReference, type Reference } from '../reference.js';
import type { Lease } from '../types.js';
import { type ArchiveStore, type Contents, type ReadOptions, readContents } from './contents.js';
import { type FoundInArchive, namesByConfig, readDockerArchive } from './docker.js';
import { LayoutFolder } from './folder.js';
import { readLayout } from './layout.js';

export interface LoadOptions extends ReadOptions {
  /** What to call it, instead of what the archive says; for archives of one image. */
  readonly name?: Reference;
}

export interface LoadedImage {
  /** None when the archive has no name for it. */
  readonly references: readonly Reference[];
  readonly target: Descriptor;
  /** The ids of its platforms. */
  readonly ids: readonly Digest[];
}

/** @throws TareError `protocol` with what is wrong with the archive, `unsupported`, `no-space`, `usage` */
export async function loadArchive(
  store: ArchiveStore,
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions = {},
): Promise<LoadedImage[]> {
  using lease = store.lease();
  const contents = await readContents(await unpacked(source), store, lease, options);
  return nameAll(store, await readImages(contents, store, lease), options.name);
}

/** An OCI image layout in a folder. @throws as `loadArchive` */
export async function loadLayout(store: ArchiveStore, path: string, options: LoadOptions = {}): Promise<LoadedImage[]> {
  using lease = store.lease();
  using folder = new LayoutFolder(path);
  const index = folder.document('index.json', MAX_DOCUMENT);
  if (!index || !folder.document('oci-layout', MAX_DOCUMENT))
    throw new TareError('protocol', `${path} is no OCI image layout: it has no oci-layout and index.json`, { path });
  const found = await readLayout(index, (one) => folder.bring(one, store, lease, options), store, lease);
  return nameAll(store, found, options.name);
}

/** The archive itself, however it is packed. */
async function unpacked(source: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const outer = await sniff(source);
  if (outer.head.length === 0) throw new TareError('protocol', 'there is nothing to load: the input is empty');
  const foreign = foreignCompression(outer.head);
  if (foreign) {
    await outer.close();
    throw new TareError('unsupported', `the archive is packed by ${foreign}: unpack it first`);
  }
  const inner = await sniff(decompressed(outer.whole, compressionOf(outer.head)));
  if (looksLikeTar(inner.head)) return inner.whole;
  await inner.close();
  throw new TareError('protocol', 'this is no tar archive, also not a packed one');
}

async function readImages(contents: Contents, store: ArchiveStore, lease: Lease): Promise<FoundInArchive[]> {
  const manifest = contents.document('manifest.json');
  const index = contents.document('index.json');
  if (index && contents.document('oci-layout')) {
    const found = await readLayout(index, (one) => isThere(one, store, lease), store, lease);
    return manifest ? withNames(found, namesByConfig(manifest), store) : found;
  }
  if (manifest) return readDockerArchive(manifest, contents, store, lease);
  throw new TareError(
    'protocol',
    `this archive holds no images: it has neither manifest.json nor index.json${hint(contents)}`,
  );
}

function hint({ top }: Contents): string {
  if (['etc', 'bin', 'usr'].filter((name) => top.has(name)).length >= 2)
    return '; of a root file system "tare import" makes an image';
  return top.has('repositories') ? '; Docker has written what it has since version 1.10, of 2016' : '';
}

/** The blobs of an archive have been stored as it was read. */
async function isThere({ digest, size }: Descriptor, { content }: ArchiveStore, lease: Lease): Promise<boolean> {
  lease.addBlob(digest);
  const found = content.size(digest);
  if (found !== undefined && found !== size)
    throw new TareError(
      'protocol',
      `the layout is refused: ${digest} has ${found} bytes, and was said to have ${size}`,
    );
  return found !== undefined;
}

/** Docker writes both documents since version 25; some of its names are only in the older one. */
function withNames(
  found: readonly FoundInArchive[],
  byConfig: ReadonlyMap<string, readonly string[]>,
  store: ArchiveStore,
): FoundInArchive[] {
  return found.map(({ target, names }) => {
    const others = idsOf(target, store).flatMap((id) => {
      const hex = id.split(':')[1] as string;
      return byConfig.get(hex) ?? byConfig.get(`${hex}.json`) ?? [];
    });
    return { target, names: others.length > 0 ? others : names };
  });
}

async function nameAll(
  store: ArchiveStore,
  found: readonly FoundInArchive[],
  name: Reference | undefined,
): Promise<LoadedImage[]> {
  if (name && found.length !== 1)
    throw new TareError('usage', `the archive has ${found.length} images: one name is not for all of them`);
  const images = found.map(({ target, names }) => ({
    references: name ? [name] : names.flatMap(referenceOf),
    target,
    ids: idsOf(target, store),
  }));
  for (const { references, target } of images) {
    for (const reference of references) await store.names.set(reference, target);
    if (references.length === 0) await store.names.keep(target);
  }
  return images;
}

/** A tag alone (`latest`, `12`), as layouts have it, names nothing. @throws TareError `protocol` */
function referenceOf(name: string): Reference[] {
  if (/^(?:latest|v?\d[\w.-]*)$/.test(name)) return [];
  try {
    return [parseReference(name)];
  } catch (cause) {
    throw new TareError(
      'protocol',
      `the archive is refused: it calls an image ${JSON.stringify(name)}, which is no name`,
      {
        cause,
      },
    );
  }
}

function idsOf(target: Descriptor, { content }: ArchiveStore): Digest[] {
  const ids: Digest[] = [];
  for (const { manifest, isHere } of manifestsOf({ content }, target)) if (isHere) ids.push(manifest.config.digest);
  return ids;
}
