/**
 * A blob from the store to a registry: not at all where it has it, mounted from another repository where it is known to be there, else sent, a large one in
 * pieces, so that after a failure only what is missing is sent again.
 * distribution-spec.md, "Pushing blobs", "Mounting a blob from another repository", "Resuming" (GET of the upload's location)
 */
import { createReadStream } from 'node:fs';
import { TareError } from '../../kernel/error.js';
import { type Descriptor, type Digest, shortDigest } from '../../oci/image/index.js';
import type { ContentStore, OnProgress } from '../types.js';
import type { Access } from './authorizer.js';
import type { RegistryClient } from './client.js';
import type { Answer, Body } from './exchange.js';
import { mayPass, withRetries } from './retry.js';

export interface UploadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** Repositories of this registry where the blob may be; asked in turn. */
  readonly sources?: readonly string[];
  /** Told of a source that has it no more. */
  readonly onLostSource?: (repository: string) => void;
}

/** @throws TareError `permission`, `protocol`, and what `RegistryClient.ask` throws */
export async function uploadBlob(
  client: RegistryClient,
  repository: string,
  blob: Descriptor,
  content: ContentStore,
  options: UploadOptions = {},
): Promise<void> {
  const { onProgress } = options;
  const id = shortDigest(blob.digest);
  const task: Task = { client, repository, blob, content, options, id };
  onProgress?.({ id, action: 'waiting', total: blob.size });
  if (await isThere(task)) return onProgress?.({ id, action: 'exists' });
  const begun = await mountOrBegin(task);
  if (begun === 'mounted') return onProgress?.({ id, action: 'mounted' });
  await send(task, begun);
  onProgress?.({ id, action: 'done', detail: 'uploaded', total: blob.size });
}

interface Task {
  readonly client: RegistryClient;
  readonly repository: string;
  readonly blob: Descriptor;
  readonly content: ContentStore;
  readonly options: UploadOptions;
  readonly id: string;
}

function asking({ repository, blob, options, id }: Task): {
  access: Access;
  what: string;
  signal: AbortSignal | undefined;
  onRetry: (reason: string) => void;
} {
  return {
    access: { repository, actions: 'pull,push' },
    what: `upload of blob ${blob.digest}`,
    signal: options.signal,
    onRetry: (detail) => options.onProgress?.({ id, action: 'retrying', detail }),
  };
}

async function isThere(task: Task): Promise<boolean> {
  const to = `/v2/${task.repository}/blobs/${task.blob.digest}`;
  const answer = await task.client.ask({ ...asking(task), method: 'HEAD', to, expect: [200, 404] });
  answer.discard();
  return answer.status === 200;
}

/** Begins an upload, unless the blob can be had from another repository. */
async function mountOrBegin(task: Task): Promise<URL | 'mounted'> {
  const { client, repository, blob, options } = task;
  const common = asking(task);
  for (const from of options.sources ?? []) {
    const query = new URLSearchParams({ mount: blob.digest, from });
    try {
      const answer = await client.ask({
        ...common,
        method: 'POST',
        to: `/v2/${repository}/blobs/uploads/?${query}`,
        access: { ...common.access, from },
        expect: [201, 202],
      });
      answer.discard();
      if (answer.status === 201) return 'mounted';
      options.onLostSource?.(from);
      // It has begun an upload instead.
      return client.resolve(answer.headers.location, answer.url);
    } catch (error) {
      // Who may not read there may still write here.
      if (!(error instanceof TareError) || !['permission', 'not-found'].includes(error.code)) throw error;
      options.onLostSource?.(from);
    }
  }
  return begin(task);
}

async function begin(task: Task): Promise<URL> {
  const { client, repository } = task;
  const to = `/v2/${repository}/blobs/uploads/`;
  const answer = await client.ask({ ...asking(task), method: 'POST', to, expect: [202] });
  answer.discard();
  return client.resolve(answer.headers.location, answer.url);
}

/** Where an upload stands: how much the registry has, and where the rest goes. */
interface Session {
  readonly location: URL;
  readonly offset: number;
}

async function send(task: Task, location: URL): Promise<void> {
  const { client, blob, options } = task;
  let session: Session = { location, offset: 0 };
  let isFirst = true;
  const { onRetry, signal } = asking(task);
  await withRetries({ limits: client.limits, signal, onRetry }, async (gotFurther) => {
    // After a failure the registry says what it has of it; when it does not, all begins anew.
    if (!isFirst) session = (await stateOf(task, session)) ?? { location: await begin(task), offset: 0 };
    isFirst = false;
    const chunk = client.limits.chunkBytes;
    while (blob.size > chunk && session.offset < blob.size) {
      session = await sendChunk(task, session, Math.min(session.offset + chunk, blob.size));
      gotFurther();
      options.onProgress?.({ id: task.id, action: 'uploading', current: session.offset, total: blob.size });
    }
    await finish(task, session);
  });
}

/** @returns undefined when the registry does not know the upload any more, or does not say */
async function stateOf(task: Task, { location }: Session): Promise<Session | undefined> {
  const answer = await task.client.ask({ ...asking(task), method: 'GET', to: location, expect: [204, 404, 405, 400] });
  answer.discard();
  return answer.status === 204 ? sessionOf(task, answer, undefined) : undefined;
}

async function sendChunk(task: Task, { location, offset }: Session, end: number): Promise<Session> {
  const answer = await task.client.ask({
    ...asking(task),
    method: 'PATCH',
    to: location,
    headers: { 'content-type': 'application/octet-stream', 'content-range': `${offset}-${end - 1}` },
    body: bodyOf(task, offset, end),
    expect: [202, 416, 404],
    attempts: 1,
  });
  answer.discard();
  const { digest } = task.blob;
  if (answer.status !== 202)
    throw mayPass(
      new TareError('protocol', `${task.client.name} lost the upload of blob ${digest} (${answer.status})`),
    );
  const next = sessionOf(task, answer, end);
  if (next && next.offset > offset) return next;
  throw mayPass(new TareError('protocol', `${task.client.name} took nothing of blob ${digest}`));
}

/** @param otherwise how much it has, where it does not say */
function sessionOf({ client, blob }: Task, answer: Answer, otherwise: number | undefined): Session | undefined {
  const location =
    answer.headers.location === undefined ? answer.url : client.resolve(answer.headers.location, answer.url);
  const last = /^(?:bytes=)?0-(\d+)$/.exec(`${answer.headers.range ?? ''}`)?.[1];
  // Nobody can say "nothing" in this form: "0-0" is what Debian's registry says of an empty upload too. A byte sent twice would spoil it.
  const offset = last === undefined ? otherwise : last === '0' ? 0 : Number(last) + 1;
  return offset === undefined || offset > blob.size ? undefined : { location, offset };
}

/** The rest of it, and its digest, which the registry checks. */
async function finish(task: Task, { location, offset }: Session): Promise<void> {
  const { client, blob } = task;
  const to = new URL(location);
  to.searchParams.set('digest', blob.digest);
  const answer = await client.ask({
    ...asking(task),
    method: 'PUT',
    to,
    headers: { 'content-type': 'application/octet-stream' },
    body: bodyOf(task, offset, blob.size),
    expect: [201, 204, 404, 416],
    attempts: 1,
  });
  answer.discard();
  if (answer.status === 404 || answer.status === 416)
    throw mayPass(
      new TareError('protocol', `${client.name} lost the upload of blob ${blob.digest} (${answer.status})`),
    );
  sameDigest(client.name, answer, blob.digest);
}

/** What it took must be what was sent. */
export function sameDigest(name: string, { headers }: Pick<Answer, 'headers'>, digest: Digest): void {
  const said = headers['docker-content-digest'];
  if (said !== undefined && said !== digest)
    throw new TareError('protocol', `${name} took ${digest} for ${JSON.stringify(said).slice(0, 200)}`);
}

function bodyOf({ blob, content, options, id }: Task, start: number, end: number): Body {
  return {
    length: end - start,
    async *open() {
      if (end === start) return;
      let at = start;
      options.onProgress?.({ id, action: 'uploading', current: at, total: blob.size });
      for await (const part of createReadStream(content.path(blob.digest), { start, end: end - 1 })) {
        yield part;
        at += part.length;
        options.onProgress?.({ id, action: 'uploading', current: at, total: blob.size });
      }
    },
  };
}
