/** A registry in this process that serves images from memory, and lies where it is told to. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { RegistryOptions } from '../../../runtime/image/registry/index.js';
import { type Descriptor, type Digest, digestOf, isDigest } from '../../../runtime/oci/image/index.js';
import type { TestImage } from '../../harness/images.js';

export interface Seen {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** Answers a request, or gives false: then it is answered as an honest registry does. */
export type Lie = (request: Seen, response: ServerResponse) => boolean | undefined | Promise<boolean | undefined>;

export class FakeRegistry implements AsyncDisposable {
  readonly seen: Seen[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { data: Buffer; mediaType: string }>();
  lie: Lie = () => false;

  private constructor(
    readonly server: Server,
    readonly scheme: 'http' | 'https',
  ) {}

  /** @param tls files of a certificate and its key */
  static async start(tls?: { readonly cert: string; readonly key: string }): Promise<FakeRegistry> {
    const server = tls ? createTlsServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }) : createServer();
    const registry = new FakeRegistry(server as Server, tls ? 'https' : 'http');
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const one = { method: request.method ?? '', path: request.url ?? '', headers: request.headers };
      registry.seen.push(one);
      request.resume();
      void (async () => {
        if ((await registry.lie(one, response)) !== true && !response.headersSent) registry.#answer(one, response);
      })();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Under `/v2/team/app`. */
  add(image: TestImage, tag = '1'): Descriptor {
    for (const [digest, data] of image.blobs) this.blobs.set(digest, data);
    const { digest, mediaType } = image.manifestDescriptor;
    this.addManifest(tag, image.blobs.get(digest) as Buffer, mediaType);
    return image.manifestDescriptor;
  }

  addManifest(tag: string, content: unknown, mediaType: string): Descriptor {
    const data = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    for (const name of [tag, digestOf(data)]) this.manifests.set(name, { data, mediaType });
    return { mediaType, digest: digestOf(data), size: data.length };
  }

  /** The requests for blobs, without those that only look how it is spoken to. */
  blobRequests(digest?: Digest): Seen[] {
    return this.seen.filter(({ path }) => path.includes(`/blobs/${digest ?? ''}`));
  }

  #answer({ method, path, headers }: Seen, response: ServerResponse): void {
    const [, kind, name = ''] = /^\/v2\/team\/app\/(manifests|blobs)\/([^?]+)/.exec(path) ?? [];
    if (path === '/v2/') return void response.writeHead(200).end('{}');
    const found = kind === 'blobs' ? this.blobs.get(name) : this.manifests.get(name)?.data;
    if (!found) return void response.writeHead(404).end('{"errors":[{"code":"UNKNOWN","message":"no such thing"}]}');
    const digest = isDigest(name) ? name : digestOf(found);
    const mediaType = this.manifests.get(name)?.mediaType ?? 'application/octet-stream';
    const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    const range = start > 0 ? { 'content-range': `bytes ${start}-${found.length - 1}/${found.length}` } : {};
    const body = found.subarray(start);
    response.writeHead(start > 0 ? 206 : 200, {
      'content-type': mediaType,
      'content-length': body.length,
      'docker-content-digest': digest,
      ...range,
    });
    response.end(method === 'HEAD' ? undefined : body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Bounds with which a test of what goes wrong does not take long. */
export const QUICK: RegistryOptions = {
  credentials: null,
  mirrors: [],
  env: { HOME: '/nonexistent', PATH: process.env.PATH },
  limits: {
    attempts: 3,
    pauseMs: 2,
    connectMs: 5000,
    stallMs: 20_000,
    stallBytes: 64,
    documentMs: 20_000,
    longestPauseMs: 3000,
  },
};
