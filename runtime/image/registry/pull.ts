/**
 * Pulling: what a tag or digest stands for, the manifest of the platform, its config and layers; at last the name. Until then only a lease keeps what has
 * come, so a pull that is killed leaves nothing but parts that the next one goes on with, or that are collected.
 * distribution-spec.md, "Pull"
 */
import { TareError } from '../../kernel/error.js';
import {
  type Descriptor,
  type ImageManifest,
  isConfigType,
  isIndexType,
  layerCompression,
  type Platform,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from '../../oci/image/index.js';
import { readConfig } from '../image.js';
import { choosePlatform, formatPlatform, hostPlatform, runsOn } from '../platform.js';
import { familiarName, type Reference } from '../reference.js';
import type { ImageStore } from '../store/index.js';
import type { Image, Lease } from '../types.js';
import { Arrivals } from './arrivals.js';
import { RegistryClient } from './client.js';
import { downloadBlob } from './download.js';
import { endpointsOf } from './endpoint.js';
import { PARALLEL } from './limits.js';
import { type FetchedManifest, fetchManifest } from './manifests.js';
import { type RegistryOptions, retryReporter } from './options.js';
import { inParallel } from './parallel.js';
import { rememberSource } from './sources.js';

export interface PullOptions extends RegistryOptions {
  /** This machine's unless told. */
  readonly platform?: Platform | undefined;
  /** Every platform of an index. */
  readonly allPlatforms?: boolean;
  /** Also layers that lie elsewhere (`urls`): whoever made the image says where we go then. */
  readonly foreignLayers?: boolean;
  /** Keeps what is pulled beyond this call. */
  readonly lease?: Lease | undefined;
  /**
   * Told of each image of which manifest and config are here, before its layers are. `arrived` waits for one of these. A config that cannot be
   * read is an error then.
   */
  readonly onImage?: (
    image: Pick<Image, 'manifest' | 'config'>,
    arrived: (layer: Descriptor) => Promise<unknown>,
  ) => void;
}

export interface Pulled {
  readonly reference: Reference;
  /** What the name stands for now. */
  readonly target: Descriptor;
  /** It stood for the same before. */
  readonly isUnchanged: boolean;
}

/**
 * @throws TareError `not-found` (also for a platform, with those that there are), `permission`, `busy`, `network`, `timeout`, `protocol`,
 * `unsupported`, `no-space`
 */
export async function pull(store: ImageStore, reference: Reference, options: PullOptions = {}): Promise<Pulled> {
  using own = options.lease ? undefined : store.lease();
  const lease = (options.lease ?? own) as Lease;
  using found = await resolve(reference, options);
  const pulling: Pulling = { store, lease, reference, client: found.client, options };
  await pullTarget(pulling, found.manifest);
  const { descriptor: target } = found.manifest;
  const isUnchanged = store.names.get(reference)?.digest === target.digest;
  if (!isUnchanged) await store.names.set(reference, target);
  return { reference, target, isUnchanged };
}

interface Found extends Disposable {
  readonly client: RegistryClient;
  readonly manifest: FetchedManifest;
}

/** Of the first mirror that has it, else of the registry. */
async function resolve(reference: Reference, options: PullOptions): Promise<Found> {
  const { registry, repository, tag, digest } = reference;
  const endpoints = endpointsOf(registry, options);
  for (const [i, endpoint] of endpoints.entries()) {
    const isLast = i === endpoints.length - 1;
    let client: RegistryClient | undefined;
    try {
      client = await RegistryClient.connect(isLast ? registry : endpoint.host, endpoint, {
        ...options,
        // What is for the registry is not for its mirrors.
        ...(!isLast && { credentials: undefined, certDir: undefined }),
      });
      const manifest = await fetchManifest(client, repository, digest ?? tag ?? 'latest', familiarName(reference), {
        signal: options.signal,
        onRetry: retryReporter(options, familiarName(reference)),
      });
      const connected = client;
      return { client, manifest, [Symbol.dispose]: () => connected[Symbol.dispose]() };
    } catch (error) {
      client?.[Symbol.dispose]();
      options.signal?.throwIfAborted();
      if (isLast || !(error instanceof TareError)) throw error;
      options.onProgress?.({ id: endpoint.host, action: 'retrying', detail: `${error.message}; asking the next one` });
    }
  }
  throw new TareError('internal', 'a registry without an endpoint');
}

interface Pulling {
  readonly store: ImageStore;
  readonly lease: Lease;
  readonly reference: Reference;
  readonly client: RegistryClient;
  readonly options: PullOptions;
}

/** An index in an index in an index: what is deeper is no image. */
const MAX_DEPTH = 3;

async function pullTarget(pulling: Pulling, { descriptor, data }: FetchedManifest, depth = 0): Promise<void> {
  const { client, reference, options } = pulling;
  const what = depth === 0 ? familiarName(reference) : descriptor.digest;
  const { mediaType } = descriptor;
  if (!isIndexType(mediaType)) {
    await pullImage(pulling, parseManifest(data, { mediaType, what }), depth === 0);
    return putBlob(pulling, descriptor, data);
  }
  const index = parseIndex(data, { mediaType, what });
  if (depth >= MAX_DEPTH) throw new TareError('protocol', `${what} is refused: indexes within indexes without end`);
  const wanted = options.allPlatforms ? index.manifests : [chosen(index.manifests, options, familiarName(reference))];
  for (const child of wanted) {
    const manifest = await fetchManifest(client, reference.repository, child.digest, child.digest, {
      signal: options.signal,
    });
    if (manifest.descriptor.size !== child.size)
      throw new TareError(
        'protocol',
        `${child.digest} is refused: it has not the ${child.size} bytes that ${what} says`,
      );
    await pullTarget(
      pulling,
      { ...manifest, descriptor: { ...manifest.descriptor, mediaType: child.mediaType } },
      depth + 1,
    );
  }
  await putBlob(pulling, descriptor, data);
}

function chosen(manifests: readonly Descriptor[], { platform }: PullOptions, name: string): Descriptor {
  const wanted = platform ?? hostPlatform();
  const [only] = manifests;
  const found =
    choosePlatform(manifests, wanted) ?? (manifests.length === 1 && only && !only.platform ? only : undefined);
  if (found) return found;
  throw notMadeFor(
    name,
    wanted,
    manifests.flatMap((one) => one.platform ?? []),
  );
}

function notMadeFor(name: string, wanted: Platform, offered: readonly Platform[]): TareError {
  // Attestations call themselves unknown/unknown.
  const there = [...new Set(offered.filter(({ os }) => os !== 'unknown').map(formatPlatform))].sort();
  return new TareError(
    'not-found',
    `${name} is not made for ${formatPlatform(wanted)}: there is ${there.join(', ') || 'no platform at all'}; choose one by --platform`,
  );
}

/** Config and layers. @param isAlone no index has chosen it: its config says for what it is */
async function pullImage(pulling: Pulling, manifest: ImageManifest, isAlone: boolean): Promise<void> {
  const { store, options, reference } = pulling;
  const { config, layers } = manifest;
  const isImage = isConfigType(config.mediaType);
  if (isAlone && !isImage)
    throw new TareError(
      'unsupported',
      `${familiarName(reference)} is no image but ${JSON.stringify(manifest.artifactType ?? config.mediaType)}`,
    );
  if (isImage) for (const layer of layers) layerCompression(layer);
  await pullBlob(pulling, config, options.signal);
  if (isImage && isAlone && options.platform) {
    const made = parseImageConfig(store.content.read(config.digest), { what: config.digest });
    if (!runsOn(made, options.platform)) throw notMadeFor(familiarName(reference), options.platform, [made]);
  }
  const different = new Map(layers.map((layer) => [layer.digest, layer]));
  const arrivals = new Arrivals(layers);
  if (isImage && options.onImage) {
    const made = readConfig(store.content, manifest, familiarName(reference));
    options.onImage({ manifest, config: made }, arrivals.of);
  }
  try {
    await inParallel(different.values(), PARALLEL, options.signal, async (layer, signal) => {
      await pullBlob(pulling, layer, signal);
      arrivals.here(layer);
    });
  } catch (error) {
    arrivals.fail(error);
    throw error;
  }
}

async function pullBlob(pulling: Pulling, blob: Descriptor, signal: AbortSignal | undefined): Promise<void> {
  const { store, lease, client, reference, options } = pulling;
  const urls = foreignUrls(blob, options);
  await downloadBlob(client, reference.repository, blob, store.content, lease, {
    signal,
    onProgress: options.onProgress,
    ...(urls && { urls }),
  });
  if (!urls) rememberSource(store.database, blob.digest, reference.registry, reference.repository);
}

/** Of a layer that may not be passed on, and so lies with who made it. */
function foreignUrls({ mediaType, urls, digest }: Descriptor, { foreignLayers }: PullOptions): URL[] | undefined {
  if (!/nondistributable|\.foreign\./.test(mediaType) || !urls || urls.length === 0) return undefined;
  const hosts = urls.map((text) => (URL.canParse(text) ? new URL(text) : undefined));
  const usable = hosts.filter((url) => url?.protocol === 'https:') as URL[];
  const [first] = usable;
  if (!first)
    throw new TareError(
      'protocol',
      `layer ${digest} lies outside of the registry, and at no place that is reached by https`,
    );
  if (foreignLayers) return usable;
  throw new TareError(
    'permission',
    `layer ${digest} does not lie in the registry but at ${first.host}: --foreign-layers fetches it from there`,
  );
}

async function putBlob({ store, lease }: Pulling, descriptor: Descriptor, data: Buffer): Promise<void> {
  await using ingest = await store.content.ingest(descriptor, lease);
  if (!ingest) return;
  await ingest.restart();
  await ingest.write(data);
  await ingest.commit();
}
