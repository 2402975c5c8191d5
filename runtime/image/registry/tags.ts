/** The tags of a repository. distribution-spec.md, "Listing Tags" */
import { TareError } from '../../kernel/error.js';
import type { Reference } from '../reference.js';
import { MAX_ANSWER } from './limits.js';
import { connectTo, type RegistryOptions } from './options.js';
import { nextPage } from './referrers.js';

const PAGE = 1000;
/** Of all pages: a million tags, as they are mostly called. */
const MAX_BYTES = 32 << 20;

/** @throws as `pull` */
export async function listTags(
  { registry, repository }: Pick<Reference, 'registry' | 'repository'>,
  options: RegistryOptions = {},
): Promise<string[]> {
  using client = await connectTo(registry, options);
  const tags: string[] = [];
  let bytes = 0;
  let to: string | URL | undefined = `/v2/${repository}/tags/list?n=${PAGE}`;
  while (to !== undefined) {
    const answer = await client.ask({
      method: 'GET',
      to,
      access: { repository },
      expect: [200],
      what: `repository ${repository}`,
      signal: options.signal,
    });
    const data = await answer.read(MAX_ANSWER);
    bytes += data.length;
    const page = tagsIn(data, client.name);
    for (const tag of page) tags.push(tag);
    to = nextPage(client, answer.headers.link, answer.url);
    if (bytes > MAX_BYTES || (to !== undefined && page.length === 0))
      throw new TareError('protocol', `${client.name} lists tags without end`);
  }
  return tags;
}

function tagsIn(data: Buffer, name: string): string[] {
  const wrong = (cause?: unknown) =>
    new TareError('protocol', `${name} answered with something else than tags`, { cause });
  let fields: { tags?: unknown };
  try {
    fields = JSON.parse(data.toString()) ?? {};
  } catch (error) {
    throw wrong(error);
  }
  const tags = fields.tags ?? [];
  if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')) return tags;
  throw wrong();
}
