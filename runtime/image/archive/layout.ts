/**
 * An OCI image layout, as an archive or a folder: index.json names manifests and indexes, and from them everything is reached by digest. What is
 * reached is brought into the store and checked there; nothing else is.
 * image-layout.md
 */
import { TareError } from '../../kernel/error.js';
import {
  type Descriptor,
  isConfigType,
  isIndexType,
  isManifestType,
  layerCompression,
  parseIndex,
  REF_NAME,
} from '../../oci/image/index.js';
import { readConfig, readManifest } from '../image.js';
import type { Lease } from '../types.js';
import type { ArchiveStore } from './contents.js';
import type { FoundInArchive } from './docker.js';

/** Brings a blob into the store. False when the layout does not have it. */
export type BringBlob = (descriptor: Descriptor) => Promise<boolean>;

/** Indexes within indexes: image-index.md allows them, and one within another is what there is. */
const MAX_DEPTH = 4;

const CONTAINERD_NAME = 'io.containerd.image.name';

/** @throws TareError `protocol` when something is missing or is not what was said; `unsupported` */
export async function readLayout(
  indexJson: Buffer,
  bring: BringBlob,
  store: ArchiveStore,
  lease: Lease,
): Promise<FoundInArchive[]> {
  const index = parseIndex(indexJson, { what: 'index.json' });
  const layout: Layout = { bring, store, lease, known: new Map() };
  const found = new Map<string, { target: Descriptor; names: string[] }>();
  for (const entry of index.manifests) {
    const { annotations = {}, ...rest } = entry;
    const { [CONTAINERD_NAME]: full, [REF_NAME]: short, ...others } = annotations;
    const target: Descriptor = { ...rest, ...(Object.keys(others).length > 0 && { annotations: others }) };
    const before = found.get(target.digest);
    if (!before && !(await reach(target, layout, 0)))
      throw refused(`${target.digest}, which index.json names, is not in it`);
    // Docker and containerd write the tag alone beside the whole name.
    const name = full ?? short;
    const one = before ?? { target, names: [] };
    if (name !== undefined) one.names.push(name);
    found.set(target.digest, one);
  }
  return [...found.values()];
}

interface Layout {
  readonly bring: BringBlob;
  readonly store: ArchiveStore;
  readonly lease: Lease;
  /** What has been looked at already: an index of thousands of entries for one index, and so on, is a few bytes and no end of work. */
  readonly known: Map<string, boolean>;
}

/** False when it is not there; of an index, when nothing of it is. */
async function reach(descriptor: Descriptor, layout: Layout, depth: number): Promise<boolean> {
  if (depth > MAX_DEPTH) throw refused(`it has indexes within indexes, more than ${MAX_DEPTH} deep`);
  const { mediaType, digest } = descriptor;
  if (!isIndexType(mediaType) && !isManifestType(mediaType))
    throw new TareError(
      'unsupported',
      `${digest} is ${JSON.stringify(mediaType)}, which is neither an image nor an index`,
    );
  const key = JSON.stringify([digest, mediaType, descriptor.size]);
  const known = layout.known.get(key);
  if (known !== undefined) return known;
  const found = await (isIndexType(mediaType)
    ? reachIndex(descriptor, layout, depth)
    : reachManifest(descriptor, layout));
  layout.known.set(key, found);
  return found;
}

async function reachManifest(descriptor: Descriptor, { bring, store }: Layout): Promise<boolean> {
  const { digest } = descriptor;
  if (!(await bring(descriptor))) return false;
  const manifest = readManifest(store.content, descriptor);
  for (const part of [manifest.config, ...manifest.layers]) {
    // What is not to be passed on stays where its URLs say.
    if (!(await bring(part))) throw refused(`${part.digest}, a part of ${digest}, is not in it`);
  }
  if (!isConfigType(manifest.config.mediaType)) return true;
  const config = readConfig(store.content, manifest, digest);
  for (const [i, layer] of manifest.layers.entries()) {
    const diffId = config.rootfs.diff_ids[i];
    if (layerCompression(layer) === 'none' && layer.digest !== diffId)
      throw refused(`the layer ${layer.digest} is not the one of its config, ${diffId}`);
  }
  return true;
}

/** Programs that save one platform keep the index of all. */
async function reachIndex(descriptor: Descriptor, layout: Layout, depth: number): Promise<boolean> {
  const { bring, store } = layout;
  if (!(await bring(descriptor))) return false;
  const { digest, mediaType } = descriptor;
  const index = parseIndex(store.content.read(digest), { mediaType, what: digest });
  const present: boolean[] = [];
  for (const one of index.manifests)
    if (isIndexType(one.mediaType) || isManifestType(one.mediaType)) present.push(await reach(one, layout, depth + 1));
  return present.length === 0 || present.includes(true);
}

/** The annotations by which other programs find it in index.json. */
export function nameAnnotations(fullName: string): Readonly<Record<string, string>> {
  return { [CONTAINERD_NAME]: fullName, [REF_NAME]: fullName };
}

function refused(why: string): TareError {
  return new TareError('protocol', `the layout is refused: ${why}`);
}
