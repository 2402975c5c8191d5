/**
 * Manifests and indexes of a registry: small documents by tag or digest, checked before anything in them is believed.
 * distribution-spec.md, "Pulling manifests"
 */
import { TareError } from '../../kernel/error.js';
import {
  type Descriptor,
  type Digest,
  digestOf,
  hashFor,
  isDigest,
  isIndexType,
  isManifestType,
  MAX_DOCUMENT,
  MEDIA,
  splitDigest,
} from '../../oci/image/index.js';
import type { RegistryClient } from './client.js';

export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly data: Buffer;
}

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((reason: string) => void) | undefined;
}

const MANIFEST_TYPES = [MEDIA.ociIndex, MEDIA.ociManifest, MEDIA.dockerIndex, MEDIA.dockerManifest];

/**
 * @param which a tag, or the digest that it must have
 * @param what how it is called in an error
 * @throws TareError `not-found`, `protocol`, `unsupported`, and what `RegistryClient.ask` throws
 */
export async function fetchManifest(
  client: RegistryClient,
  repository: string,
  which: string | Digest,
  what: string,
  options: FetchOptions = {},
): Promise<FetchedManifest> {
  const answer = await client.ask({
    method: 'GET',
    to: `/v2/${repository}/manifests/${which}`,
    access: { repository },
    headers: { accept: MANIFEST_TYPES.join(', ') },
    expect: [200],
    what,
    ...options,
  });
  const data = await answer.read(MAX_DOCUMENT);
  const digest = checkedDigest(data, which, answer.headers['docker-content-digest'], what);
  const mediaType = mediaTypeOf(answer.headers['content-type'], data, what);
  return { data, descriptor: { mediaType, digest, size: data.length } };
}

/** By its own digest where it was asked for by one; else by what the registry says, if it says something. */
function checkedDigest(data: Buffer, which: string, said: string | string[] | undefined, what: string): Digest {
  const wrong = (expected: string, digest: string) =>
    new TareError('protocol', `${what} is refused: its digest is ${digest}, and ${expected} was expected`);
  if (isDigest(which)) {
    const digest = `${splitDigest(which).algorithm}:${hashFor(which).update(data).digest('hex')}`;
    if (digest !== which) throw wrong(which, digest);
    return which;
  }
  const digest = digestOf(data);
  if (isDigest(said) && splitDigest(said).algorithm === 'sha256' && said !== digest) throw wrong(said, digest);
  return digest;
}

function mediaTypeOf(header: string | undefined, data: Buffer, what: string): string {
  const announced = header?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (announced.startsWith('application/vnd.docker.distribution.manifest.v1+'))
    throw new TareError(
      'unsupported',
      `${what} has Docker’s schema 1, which has not been written since 2017: pull and push it again with a current program`,
    );
  if (isIndexType(announced) || isManifestType(announced)) return announced;
  // Some registries know no media types: then the document says it, or it is seen by its shape. It is parsed strictly later.
  const own = ownType(data);
  if (own !== undefined && /^(?:|text\/plain|application\/(?:json|octet-stream))$/.test(announced)) return own;
  throw new TareError(
    'unsupported',
    `${what} is ${JSON.stringify(announced.slice(0, 100))}, which is neither an image nor an index of images`,
  );
}

function ownType(data: Buffer): string | undefined {
  let fields: { mediaType?: unknown; manifests?: unknown; layers?: unknown; schemaVersion?: unknown };
  try {
    fields = JSON.parse(data.toString()) ?? {};
  } catch (error) {
    // It is no document at all: the caller's sentence says that it is none of those that belong here.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const { mediaType, manifests, layers, schemaVersion } = fields;
  if (typeof mediaType === 'string') return isIndexType(mediaType) || isManifestType(mediaType) ? mediaType : undefined;
  if (Array.isArray(manifests)) return MEDIA.ociIndex;
  return Array.isArray(layers) || schemaVersion === 1 ? MEDIA.ociManifest : undefined;
}
