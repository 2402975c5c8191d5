/**
 * Finding an image in the store: by name, by digest, or by the first digits of its id; and of an index the manifest of one platform. What is read is
 * checked as if it came from a stranger, which it did.
 */
import { TareError } from '../kernel/error.js';
import {
  type Descriptor,
  type Digest,
  type ImageConfig,
  type ImageManifest,
  isConfigType,
  isDigest,
  isIndexType,
  isManifestType,
  layerCompression,
  MEDIA,
  type Platform,
  parseImageConfig,
  parseIndex,
  parseManifest,
  splitDigest,
} from '../oci/image/index.js';
import { nearest } from './near.js';
import { choosePlatform, formatPlatform, hostPlatform, runsOn } from './platform.js';
import { familiarName, parseReference, type Reference } from './reference.js';
import type { ContentStore, Image, ImageNames } from './types.js';

/** What of a store is read here. */
export interface Images {
  readonly content: ContentStore;
  readonly names: ImageNames;
}

/** What somebody called an image, and what that is. */
export interface FoundImage {
  readonly reference?: Reference;
  readonly target: Descriptor;
}

/**
 * The image of a name (`debian:12`, `debian@sha256:…`), an id, or the first digits of an id. Without `platform` it is this machine's, or, where
 * that is not here, one that is.
 * @throws TareError `not-found` with the platforms that there are, where it is that; `usage` when several ids begin so; `protocol`; `unsupported`
 */
export function loadImage(store: Images, what: string | Reference, platform?: Platform): Image {
  const found = findImage(store, what);
  const name = typeof what === 'string' ? what : familiarName(what);
  return { ...(found.reference && { reference: found.reference }), ...imageOf(store, found.target, platform, name) };
}

/** What a name or an id stands for: a manifest or an index. @throws TareError `not-found`, `usage` */
export function findImage(store: Images, what: string | Reference): FoundImage {
  if (typeof what !== 'string') {
    const target = store.names.get(what);
    if (target) return { reference: what, target };
    throw missing(store, familiarName(what));
  }
  const reference = referenceOf(what);
  const named = reference && store.names.get(reference);
  if (reference && named) return { reference, target: named };
  const target = ID.test(what) ? findById(store, what.replace(/^sha256:/, '')) : undefined;
  if (target) return { target };
  // It says what is wrong with a name that is none.
  if (!reference && !ID.test(what)) parseReference(what);
  throw missing(store, what);
}

/** The image of a descriptor that is known already. `name` is what an error calls it. */
export function imageOf(
  store: Pick<Images, 'content'>,
  target: Descriptor,
  platform?: Platform,
  name: string = target.digest,
): Omit<Image, 'reference'> {
  if (isManifestType(target.mediaType)) {
    const image = readImage(store, target, target);
    if (platform && !runsOn(image.config, platform)) throw wrongPlatform(name, platform, [image.config]);
    return image;
  }
  const here = platformsOf(store, target);
  const usable = here.filter(({ isHere }) => isHere);
  const chosen = choosePlatform(here, platform ?? hostPlatform());
  if (chosen?.isHere) return readImage(store, target, chosen.descriptor);
  const [only] = usable;
  if (!platform && only) return readImage(store, target, only.descriptor);
  const offered = here.flatMap((one) => one.platform ?? []);
  if (!chosen) throw wrongPlatform(name, platform ?? hostPlatform(), offered);
  const have = usable.flatMap((one) => (one.platform ? [formatPlatform(one.platform)] : []));
  throw new TareError(
    'not-found',
    `${name} is not here for ${formatPlatform(platform ?? hostPlatform())}${have.length > 0 ? `, but for ${have.join(', ')}` : ''}: "tare pull" gets it`,
  );
}

/** One manifest of an image, for one platform. */
export interface PlatformManifest {
  readonly descriptor: Descriptor;
  /** undefined of what is for no machine: signatures, attestations. */
  readonly platform?: Platform;
  /** Its manifest and config are in the store. */
  readonly isHere: boolean;
}

/** The manifests that a name stands for: one, or those of an index. @throws TareError `unsupported`, `protocol`, `not-found` */
export function platformsOf(store: Pick<Images, 'content'>, target: Descriptor): PlatformManifest[] {
  const look = platformReader(store.content);
  if (isManifestType(target.mediaType)) return [look(target)];
  if (!isIndexType(target.mediaType))
    throw new TareError(
      'unsupported',
      `${target.digest} is ${JSON.stringify(target.mediaType)}, which is neither an image nor an index of images`,
    );
  const index = parseIndex(store.content.read(target.digest), { mediaType: target.mediaType, what: target.digest });
  return index.manifests.filter(({ mediaType }) => isManifestType(mediaType)).map(look);
}

/** The manifests of it that are here, each once, however often an index names it. @throws as `platformsOf` */
export function* manifestsOf(
  { content }: Pick<Images, 'content'>,
  target: Descriptor,
): Iterable<{ readonly descriptor: Descriptor; readonly manifest: ImageManifest; readonly isHere: boolean }> {
  const seen = new Set<Digest>();
  for (const { descriptor, isHere } of platformsOf({ content }, target)) {
    if (seen.has(descriptor.digest) || !content.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    yield { descriptor, manifest: readManifest(content, descriptor), isHere };
  }
}

/** The same, or none where something of it is damaged: that keeps nobody from what else there is, nor from removing it. */
export function readableManifests(store: Pick<Images, 'content'>, target: Descriptor): ReturnType<typeof manifestsOf> {
  try {
    return [...manifestsOf(store, target)];
  } catch (error) {
    if (error instanceof TareError) return [];
    throw error;
  }
}

/** Reads a manifest of the store. @throws TareError `protocol`, `not-found` */
export function readManifest(content: ContentStore, descriptor: Descriptor): ImageManifest {
  const data = content.read(descriptor.digest);
  if (data.length !== descriptor.size)
    throw new TareError(
      'protocol',
      `${descriptor.digest} has ${data.length} bytes, and was announced with ${descriptor.size}`,
    );
  return parseManifest(data, { mediaType: descriptor.mediaType, what: descriptor.digest });
}

/** Reads the config of an image, and checks that it and the manifest are of one image. @throws TareError `unsupported`, `protocol`, `not-found` */
export function readConfig(content: ContentStore, manifest: ImageManifest, name: string): ImageConfig {
  const { mediaType, digest } = manifest.config;
  if (!isConfigType(mediaType))
    throw new TareError(
      'unsupported',
      `${name} is no image that can run: its config is ${JSON.stringify(manifest.artifactType ?? mediaType)}`,
    );
  const config = parseImageConfig(content.read(digest), { what: digest });
  const [layers, diffIds] = [manifest.layers.length, config.rootfs.diff_ids.length];
  if (layers !== diffIds)
    throw new TareError('protocol', `${name} is refused: its manifest has ${layers} layers, and its config ${diffIds}`);
  for (const layer of manifest.layers) layerCompression(layer);
  return config;
}

/** The digits of an id, or of the digest of a manifest. */
const ID = /^(?:sha256:[0-9a-f]{4,64}|[0-9a-f]{4,64})$/;

function readImage({ content }: Pick<Images, 'content'>, target: Descriptor, manifestDescriptor: Descriptor) {
  const manifest = readManifest(content, manifestDescriptor);
  const config = readConfig(content, manifest, manifestDescriptor.digest);
  return { target, manifestDescriptor, manifest, config, id: manifest.config.digest };
}

/** Each document is read once: an index of a few megabytes can name one manifest, or manifests one config, tens of thousands of times. */
function platformReader(content: ContentStore): (descriptor: Descriptor) => PlatformManifest {
  const configs = new Map<string, Descriptor>();
  const platforms = new Map<Digest, Platform>();
  const configOf = (descriptor: Descriptor): Descriptor => {
    const key = JSON.stringify([descriptor.digest, descriptor.mediaType, descriptor.size]);
    const { mediaType, digest, size } = configs.get(key) ?? readManifest(content, descriptor).config;
    const config = { mediaType, digest, size };
    configs.set(key, config);
    return config;
  };
  const platformOf = ({ digest }: Descriptor): Platform => {
    const known = platforms.get(digest);
    if (known) return known;
    const { os, architecture, variant } = parseImageConfig(content.read(digest), { what: digest });
    const platform = { os, architecture, ...(variant !== undefined && { variant }) };
    platforms.set(digest, platform);
    return platform;
  };
  return (descriptor) => {
    if (!content.has(descriptor.digest)) return { descriptor, platform: descriptor.platform, isHere: false };
    const config = configOf(descriptor);
    const isHere = content.has(config.digest);
    // What an index says nothing about, the config does.
    const platform = descriptor.platform ?? (isHere && isConfigType(config.mediaType) ? platformOf(config) : undefined);
    return { descriptor, platform, isHere };
  };
}

function referenceOf(what: string): Reference | undefined {
  try {
    return parseReference(what);
  } catch (error) {
    if (error instanceof TareError && error.code === 'usage') return undefined;
    throw error;
  }
}

/** By the id of an image, or the digest of a manifest or index: what the shortest unambiguous prefix finds. */
function findById(store: Images, prefix: string): Descriptor | undefined {
  const found = new Map<Digest, Descriptor>();
  const matches = (digest: Digest) => splitDigest(digest).hex.startsWith(prefix);
  for (const { target } of store.names.list()) {
    if (matches(target.digest)) found.set(target.digest, target);
    else for (const [id, descriptor] of idsOf(store, target)) if (matches(id)) found.set(id, descriptor);
  }
  if (found.size > 1) {
    const ids = [...found.keys()].map((id) => splitDigest(id).hex.slice(0, 16));
    throw new TareError('usage', `several images have an id that begins with ${prefix}: ${ids.join(', ')}`);
  }
  const [only] = found.values();
  return only ?? unnamed(store, `sha256:${prefix}`);
}

/** The ids of an image's platforms, and the digests of their manifests, each with the manifest. */
function* idsOf(store: Images, target: Descriptor): Iterable<[Digest, Descriptor]> {
  if (!store.content.has(target.digest) || !(isIndexType(target.mediaType) || isManifestType(target.mediaType))) return;
  for (const { descriptor, manifest, isHere } of readableManifests(store, target)) {
    if (!isHere) continue;
    // By its id an index of one platform is the same image.
    yield [manifest.config.digest, descriptor];
    if (descriptor.digest !== target.digest) yield [descriptor.digest, descriptor];
  }
}

/** A manifest that has no name, such as what a build goes on from, by its whole digest. */
function unnamed({ content }: Images, digest: string): Descriptor | undefined {
  if (!isDigest(digest) || !content.has(digest)) return undefined;
  const data = content.read(digest);
  const shape = parseShape(data);
  if (shape === undefined) return undefined;
  return { mediaType: shape, digest, size: data.length };
}

function parseShape(data: Buffer): string | undefined {
  try {
    const { mediaType, manifests, layers } = JSON.parse(data.toString()) as Record<string, unknown>;
    if (typeof mediaType === 'string')
      return isIndexType(mediaType) || isManifestType(mediaType) ? mediaType : undefined;
    return Array.isArray(manifests) ? MEDIA.ociIndex : Array.isArray(layers) ? MEDIA.ociManifest : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function wrongPlatform(name: string, wanted: Platform, there: readonly Platform[]): TareError {
  const known = [...new Set(there.filter(({ os }) => os !== 'unknown').map(formatPlatform))];
  return new TareError(
    'not-found',
    `${name} is not made for ${formatPlatform(wanted)}: there is ${known.join(', ') || 'no platform at all'}`,
  );
}

function missing({ names }: Pick<Images, 'names'>, name: string): TareError {
  const near = similarName(names, name);
  const what =
    near === undefined ? '"tare images" lists those there are, "tare pull" gets it' : `did you mean "${near}"?`;
  return new TareError('not-found', `there is no image ${JSON.stringify(name)} here: ${what}`);
}

/** A name that is there and may have been meant: of another registry, with another tag, or with a letter or two otherwise. */
export function similarName(names: Pick<ImageNames, 'list'>, name: string): string | undefined {
  const wanted = referenceOf(name);
  if (!wanted) return undefined;
  const known = names.list().flatMap(({ reference }) => reference ?? []);
  const last = ({ repository }: Reference) => repository.slice(repository.lastIndexOf('/') + 1);
  const same = known.filter((one) => last(one) === last(wanted));
  const [first] = same.filter(({ tag }) => tag === wanted.tag).concat(same);
  return first ? familiarName(first) : nearest(familiarName(wanted), known.map(familiarName));
}
