/** The images of a store as people want to see them: a line for each name, and for each that has lost its name. */
import { TareError } from '../kernel/error.js';
import {
  type Descriptor,
  type Digest,
  isConfigType,
  isIndexType,
  isManifestType,
  type Platform,
} from '../oci/image/index.js';
import { type Images, manifestsOf, type PlatformManifest, platformsOf, readConfig, readManifest } from './image.js';
import { choosePlatform, hostPlatform } from './platform.js';
import { familiarName, type Reference } from './reference.js';

/** One name of the store, or one image that has lost its name. */
export interface ListedImage {
  /** undefined when another image has its name now. */
  readonly reference?: Reference;
  readonly target: Descriptor;
  /** Docker's image id: of this machine's platform, or of the first one that is here. undefined of artifacts. */
  readonly id?: Digest;
  /** RFC 3339. */
  readonly created?: string;
  /** Bytes of the blobs that are here, of all platforms; each counts once. */
  readonly size: number;
  /** Those that are here. */
  readonly platforms: readonly Platform[];
  /** What is wrong with it, where it cannot be read. */
  readonly fault?: string;
}

/** All that the store has, the newest first. What cannot be read is listed with its fault. */
export function listImages(store: Images): ListedImage[] {
  const listed = store.names.list().map(({ reference, target }) => ({
    ...(reference && { reference }),
    target,
    ...describe(store, target),
  }));
  return listed.sort((a, b) => timeOf(b) - timeOf(a) || nameOf(a).localeCompare(nameOf(b)));
}

/** Is it one that Docker’s filter `reference=…` finds? `*` and `?` stand for anything but a slash. path.Match of Go */
export function matchesReference(reference: Reference, pattern: string): boolean {
  const expression = new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*/g, '[^/]*')
      .replace(/\?/g, '[^/]')}$`,
  );
  const { tag: _tag, digest: _digest, ...bare } = reference;
  return [familiarName(reference), familiarName(bare), `${reference.registry}/${reference.repository}`].some((name) =>
    expression.test(name),
  );
}

/** The blobs of what a name stands for, as far as they are here, with their sizes. */
export function blobsOf(store: Pick<Images, 'content'>, target: Descriptor): Map<Digest, number> {
  const sizes = new Map<Digest, number>();
  const add = (digest: Digest) => {
    const size = store.content.size(digest);
    if (size !== undefined) sizes.set(digest, size);
    return size !== undefined;
  };
  if (!add(target.digest) || !isImage(target)) return sizes;
  for (const { descriptor, manifest } of manifestsOf(store, target))
    for (const { digest } of [descriptor, manifest.config, ...manifest.layers]) add(digest);
  return sizes;
}

/** One that cannot be read is listed too: how else would it be removed? */
function describe(store: Images, target: Descriptor): Omit<ListedImage, 'reference' | 'target'> {
  try {
    const size = [...blobsOf(store, target).values()].reduce((sum, one) => sum + one, 0);
    if (!store.content.has(target.digest)) return { size, platforms: [], fault: `${target.digest} is missing` };
    if (!isImage(target)) return { size, platforms: [] };
    const here = platformsOf(store, target).filter(({ isHere }) => isHere);
    const shown = choosePlatform(here, hostPlatform()) ?? here[0];
    return { size, platforms: here.flatMap(({ platform }) => platform ?? []), ...(shown && identify(store, shown)) };
  } catch (error) {
    if (error instanceof TareError) return { size: 0, platforms: [], fault: error.message };
    throw error;
  }
}

function identify(store: Images, { descriptor }: PlatformManifest): Pick<ListedImage, 'id' | 'created'> {
  const manifest = readManifest(store.content, descriptor);
  if (!isConfigType(manifest.config.mediaType)) return {};
  const { created } = readConfig(store.content, manifest, descriptor.digest);
  return { id: manifest.config.digest, ...(created !== undefined && { created }) };
}

function isImage({ mediaType }: Descriptor): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType);
}

function timeOf({ created }: ListedImage): number {
  const time = created === undefined ? Number.NaN : Date.parse(created);
  return Number.isNaN(time) ? 0 : time;
}

function nameOf({ reference, target }: ListedImage): string {
  return reference ? familiarName(reference) : target.digest;
}
