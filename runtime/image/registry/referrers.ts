/**
 * Referrers: manifests that say by `subject` what they are about, such as signatures and bills of materials. A registry that does not know them keeps a list
 * of them under a tag made of the subject's digest, which whoever pushes one brings up to date.
 * distribution-spec.md, "Listing Referrers", "Referrers Tag Schema"
 */
import { TareError } from '../../kernel/error.js';
import { type Descriptor, type Digest, MAX_DOCUMENT, MEDIA, parseIndex, splitDigest } from '../../oci/image/index.js';
import { familiarName, type Reference } from '../reference.js';
import type { RegistryClient } from './client.js';
import { fetchManifest } from './manifests.js';
import { connectTo, type RegistryOptions } from './options.js';

export interface ReferrersOptions extends RegistryOptions {
  /** Only those of this kind. */
  readonly artifactType?: string;
}

/** Pages, and bytes of all of them, after which a list is no list any more. */
const MAX_PAGES = 100;
const MAX_BYTES = 4 * MAX_DOCUMENT;

export interface Referrers {
  /** What the name stands for in the registry. */
  readonly subject: Digest;
  readonly referrers: readonly Descriptor[];
}

/** What refers to the image of a name, which the registry is asked for. @throws as `pull` */
export async function findReferrers(reference: Reference, options: ReferrersOptions = {}): Promise<Referrers> {
  const { registry, repository, tag = 'latest', digest } = reference;
  using client = await connectTo(registry, options);
  const { signal } = options;
  const subject =
    digest ?? (await fetchManifest(client, repository, tag, familiarName(reference), { signal })).descriptor.digest;
  return { subject, referrers: await list(client, repository, subject, options) };
}

/** What refers to a manifest. @throws as `pull` */
export async function listReferrers(
  { registry, repository }: Pick<Reference, 'registry' | 'repository'>,
  subject: Digest,
  options: ReferrersOptions = {},
): Promise<readonly Descriptor[]> {
  using client = await connectTo(registry, options);
  return await list(client, repository, subject, options);
}

async function list(
  client: RegistryClient,
  repository: string,
  subject: Digest,
  options: ReferrersOptions,
): Promise<readonly Descriptor[]> {
  const all = (await fromApi(client, repository, subject, options)) ?? (await fromTag(client, repository, subject));
  const { artifactType } = options;
  // A registry may ignore the filter.
  return artifactType === undefined ? all : all.filter((one) => one.artifactType === artifactType);
}

/** A manifest with this subject has been pushed to a registry that did not say that it knows subjects: the list is brought up to date. */
export async function addToTag(
  client: RegistryClient,
  repository: string,
  subject: Digest,
  referrer: Descriptor,
): Promise<void> {
  const known = await fromTag(client, repository, subject);
  if (known.some(({ digest }) => digest === referrer.digest)) return;
  const index = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [...known, referrer] };
  const data = Buffer.from(JSON.stringify(index));
  const answer = await client.ask({
    method: 'PUT',
    to: `/v2/${repository}/manifests/${tagOf(subject)}`,
    access: { repository, actions: 'pull,push' },
    headers: { 'content-type': MEDIA.ociIndex },
    body: { length: data.length, open: () => [data] },
    expect: [201],
    what: `list of what refers to ${subject}`,
  });
  answer.discard();
}

/** undefined when the registry does not have it. */
async function fromApi(
  client: RegistryClient,
  repository: string,
  subject: Digest,
  { artifactType, signal }: ReferrersOptions,
): Promise<Descriptor[] | undefined> {
  const query = artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType })}`;
  const found: Descriptor[] = [];
  let bytes = 0;
  let to: string | URL | undefined = `/v2/${repository}/referrers/${subject}${query}`;
  for (let page = 0; to !== undefined; page++) {
    if (page >= MAX_PAGES || bytes > MAX_BYTES)
      throw new TareError('protocol', `${client.name} lists what refers to ${subject} without end`);
    const answer = await client.ask({
      method: 'GET',
      to,
      access: { repository },
      headers: { accept: MEDIA.ociIndex },
      expect: [200, 404],
      what: `list of what refers to ${subject}`,
      signal,
    });
    const type = answer.headers['content-type']?.split(';')[0]?.trim();
    if (answer.status === 404 || type !== MEDIA.ociIndex) {
      answer.discard();
      return undefined;
    }
    const data = await answer.read(MAX_DOCUMENT);
    bytes += data.length;
    const { manifests } = parseIndex(data, { mediaType: MEDIA.ociIndex });
    for (const manifest of manifests) found.push(manifest);
    to = nextPage(client, answer.headers.link, answer.url);
  }
  return found;
}

async function fromTag(client: RegistryClient, repository: string, subject: Digest): Promise<readonly Descriptor[]> {
  try {
    const { data } = await fetchManifest(client, repository, tagOf(subject), `list of what refers to ${subject}`);
    return parseIndex(data, { mediaType: MEDIA.ociIndex }).manifests;
  } catch (error) {
    if (error instanceof TareError && error.code === 'not-found') return [];
    throw error;
  }
}

function tagOf(subject: Digest): string {
  const { algorithm, hex } = splitDigest(subject);
  return `${algorithm}-${hex.slice(0, 64)}`;
}

/** `Link: </v2/a/tags/list?last=x&n=2>; rel="next"`: RFC 8288. Only at the same registry. */
export function nextPage(client: RegistryClient, header: string | string[] | undefined, base: URL): URL | undefined {
  const link = /^\s*<([^>]*)>\s*;(?:[^,]*;)?\s*rel="?next"?/i.exec(`${header ?? ''}`)?.[1];
  if (link === undefined) return undefined;
  const url = client.resolve(link, base);
  if (client.isOwn(url)) return url;
  throw new TareError('protocol', `${client.name} continues a list at another host, ${url.host}`);
}
