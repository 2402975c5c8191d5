/**
 * Pushing: the blobs of an image, several at a time, then its manifest, and the index over several at last, so that what has a name in the registry is
 * always whole.
 * distribution-spec.md, "Push"
 */
import { TareError } from '../../kernel/error.js';
import {
  type Descriptor,
  type Digest,
  isIndexType,
  isManifestType,
  type Platform,
  parseIndex,
  parseManifest,
  shortDigest,
} from '../../oci/image/index.js';
import { findImage, imageOf } from '../image.js';
import { formatPlatform } from '../platform.js';
import { familiarName, type Reference } from '../reference.js';
import type { ImageStore } from '../store/index.js';
import type { RegistryClient } from './client.js';
import { PARALLEL } from './limits.js';
import { connectTo, type RegistryOptions } from './options.js';
import { inParallel } from './parallel.js';
import { addToTag } from './referrers.js';
import { forgetSource, rememberSource, sourcesOf } from './sources.js';
import { sameDigest, uploadBlob } from './upload.js';

export interface PushOptions extends RegistryOptions {
  /** Of an index only this one; this machine's, or the only one that is here, unless told. */
  readonly platform?: Platform | undefined;
  /** The index itself, with all its platforms, which must be here. */
  readonly allPlatforms?: boolean;
  /** What is pushed, if it is not the image of this name: a name or an id. */
  readonly source?: string | undefined;
}

export interface Pushed {
  /** What the name stands for in the registry now. */
  readonly target: Descriptor;
}

/** @throws TareError `not-found` (not here, or no such repository), `usage` for a name with a digest, and what `pull` throws of a registry */
export async function push(store: ImageStore, reference: Reference, options: PushOptions = {}): Promise<Pushed> {
  const name = familiarName(reference);
  const { tag } = reference;
  if (tag === undefined || reference.digest !== undefined)
    throw new TareError('usage', `${name} has a digest: what is pushed gets its digest by itself; name it by a tag`);
  using lease = store.lease();
  const { target: whole } = findImage(store, options.source ?? reference);
  lease.addBlob(whole.digest);
  const isOne = options.allPlatforms || isManifestType(whole.mediaType);
  const target = isOne ? whole : imageOf(store, whole, options.platform, name).manifestDescriptor;
  const parts = [...partsOf(store, target, name)];
  for (const part of parts) for (const { digest } of [part.manifest, ...part.blobs]) lease.addBlob(digest);
  allHere(store, parts, name);
  using client = await connectTo(reference.registry, options);
  const pushing: Pushing = { store, client, reference, options };
  const blobs = new Map(parts.flatMap((part) => part.blobs.map((blob): [Digest, Descriptor] => [blob.digest, blob])));
  await inParallel(blobs.values(), PARALLEL, options.signal, (blob, signal) => pushBlob(pushing, blob, signal));
  for (const part of parts) await putManifest(pushing, part, part.manifest === target ? tag : part.manifest.digest);
  return { target };
}

interface Pushing {
  readonly store: ImageStore;
  readonly client: RegistryClient;
  readonly reference: Reference;
  readonly options: PushOptions;
}

/** A manifest or index, and what must be in the registry before it. */
interface Part {
  readonly manifest: Descriptor;
  readonly blobs: readonly Descriptor[];
  readonly subject?: Descriptor;
  /** For the list of referrers. */
  readonly facts: Pick<Descriptor, 'artifactType' | 'annotations'>;
  readonly platform?: Platform;
}

const MAX_DEPTH = 3;

/** Those that others name come first. */
function* partsOf(store: ImageStore, manifest: Descriptor, name: string, depth = 0): Iterable<Part> {
  const { mediaType, digest, platform } = manifest;
  if (depth > MAX_DEPTH) throw new TareError('protocol', `${name} is refused: indexes within indexes without end`);
  if (!store.content.has(digest))
    throw new TareError(
      'not-found',
      `${name} is not here for ${platform ? formatPlatform(platform) : shortDigest(digest)}: "tare pull --all-platforms" gets all of it`,
    );
  const data = store.content.read(digest);
  if (isIndexType(mediaType)) {
    const { manifests, subject, artifactType, annotations } = parseIndex(data, { mediaType, what: digest });
    for (const child of manifests) yield* partsOf(store, child, name, depth + 1);
    yield { manifest, blobs: [], ...(subject && { subject }), facts: facts(artifactType, annotations) };
    return;
  }
  if (!isManifestType(mediaType))
    throw new TareError('unsupported', `${name} has ${JSON.stringify(mediaType)} in it, which is no image`);
  const { config, layers, subject, artifactType, annotations } = parseManifest(data, { mediaType, what: digest });
  yield {
    manifest,
    blobs: [config, ...layers],
    ...(subject && { subject }),
    facts: facts(artifactType ?? config.mediaType, annotations),
    ...(platform && { platform }),
  };
}

function facts(artifactType: string | undefined, annotations: Descriptor['annotations']): Part['facts'] {
  return { ...(artifactType !== undefined && { artifactType }), ...(annotations && { annotations }) };
}

/** Before anything is sent. */
function allHere({ content }: ImageStore, parts: readonly Part[], name: string): void {
  for (const { blobs, platform } of parts) {
    const missing = blobs.find(({ digest }) => !content.has(digest));
    if (!missing) continue;
    const of = platform ? ` for ${formatPlatform(platform)}` : '';
    throw new TareError(
      'not-found',
      `${name} is not whole here${of}: blob ${missing.digest} is missing; pull it again`,
    );
  }
}

async function pushBlob(pushing: Pushing, blob: Descriptor, signal: AbortSignal): Promise<void> {
  const { store, client, reference, options } = pushing;
  const { registry, repository } = reference;
  await uploadBlob(client, repository, blob, store.content, {
    signal,
    onProgress: options.onProgress,
    sources: sourcesOf(store.database, blob.digest, registry, repository),
    onLostSource: (from) => forgetSource(store.database, blob.digest, registry, from),
  });
  rememberSource(store.database, blob.digest, registry, repository);
}

async function putManifest({ store, client, reference, options }: Pushing, part: Part, as: string): Promise<void> {
  const { repository } = reference;
  const { mediaType, digest, size } = part.manifest;
  const data = store.content.read(digest);
  const answer = await client.ask({
    method: 'PUT',
    to: `/v2/${repository}/manifests/${as}`,
    access: { repository, actions: 'pull,push' },
    headers: { 'content-type': mediaType },
    body: { length: data.length, open: () => [data] },
    expect: [200, 201],
    what: familiarName(reference),
    signal: options.signal,
  });
  answer.discard();
  sameDigest(client.name, answer, digest);
  // A registry that knows subjects says so. distribution-spec.md, "Pushing Manifests with Subject"
  if (part.subject && answer.headers['oci-subject'] === undefined)
    await addToTag(client, repository, part.subject.digest, { mediaType, digest, size, ...part.facts });
}
