/**
 * One request and its answer, over node:http or node:https, and nothing more: no redirect is followed, nothing is tried again. Bounded in time; a
 * transfer that stands still is broken off.
 * RFC 9112
 */
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { finished, Readable } from 'node:stream';
import { TareError } from '../../kernel/error.js';
import { tlsFiles } from './certificates.js';
import { connectionFailure } from './failures.js';
import type { Limits } from './limits.js';
import { proxyAgent, proxyFor } from './proxy.js';
import { mayPass } from './retry.js';

export interface Exchange {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Body {
  /** In bytes. */
  readonly length: number;
  /** Anew for each attempt. */
  open(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** An answer whose body has not been read. Either one of the methods here reads it, or `discard` gives it up. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly url: URL;
  /** As it comes. @throws TareError `timeout`, `network` (both may pass) */
  stream(): AsyncIterable<Buffer>;
  /** All of it. @throws TareError `protocol` when it has more bytes */
  read(maxBytes: number): Promise<Buffer>;
  /** As much as there is room for, and without failing. */
  beginning(maxBytes: number): Promise<string>;
  discard(): void;
}

const USER_AGENT = 'tare';

/** The connections of one client: kept open between requests, each host with its own trust. */
export class Connections implements Disposable {
  readonly #agents = new Map<string, PlainAgent | TlsAgent>();

  /** @param certDir the folder of certificates of `host`, instead of the system's */
  constructor(
    private readonly host: string,
    readonly limits: Limits,
    private readonly certDir?: string,
    private readonly env: NodeJS.ProcessEnv = process.env,
  ) {}

  /** @throws TareError `network`, `timeout`, `not-found` */
  async exchange(exchange: Exchange): Promise<Answer> {
    const { url, signal } = exchange;
    try {
      return await this.#exchange(exchange);
    } catch (error) {
      signal?.throwIfAborted();
      throw connectionFailure(error, url);
    }
  }

  #exchange({ method, url, headers, body, signal }: Exchange): Promise<Answer> {
    const { limits } = this;
    return new Promise((resolve, reject) => {
      const length = body ? { 'content-length': `${body.length}` } : undefined;
      const request = (url.protocol === 'https:' ? tlsRequest : plainRequest)(url, {
        method,
        agent: this.#agentFor(url),
        headers: { 'user-agent': USER_AGENT, 'accept-encoding': 'identity', ...headers, ...length },
        ...(signal && { signal }),
      });
      const late = mayPass(
        new TareError('timeout', `${url.host} does not answer: no connection in ${limits.connectMs} ms`),
      );
      const timer = setTimeout(() => request.destroy(late), limits.connectMs);
      request.once('socket', (socket) => {
        if (!socket.connecting) clearTimeout(timer);
        else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(timer));
      });
      // A byte of a header now and then, or one "103 Early Hints" after the other, is no answer either.
      const answering = setTimeout(
        () => request.destroy(unanswered(url, limits)),
        limits.connectMs + limits.documentMs,
      );
      request.once('close', () => {
        clearTimeout(timer);
        clearTimeout(answering);
      });
      let answer: IncomingMessage | undefined;
      request.setTimeout(limits.stallMs, () => (answer ?? request).destroy(stalled(url, limits)));
      request.on('error', reject);
      request.once('response', (message) => {
        answer = message;
        clearTimeout(answering);
        resolve(new ReceivedAnswer(message, url, limits, () => request.destroy()));
      });
      if (!body) return void request.end();
      const source = Readable.from(body.open());
      source.once('error', (error) => request.destroy(error));
      // An answer may come before all has been sent, such as a refusal: then nobody wants the rest.
      finished(request, () => source.destroy());
      source.on('data', () => answering.refresh());
      source.pipe(request);
    });
  }

  #agentFor(url: URL): PlainAgent | TlsAgent {
    // A URL has lost the port that goes without saying.
    const isOwn = url.host === new URL(`${url.protocol}//${this.host}`).host;
    let agent = this.#agents.get(url.origin);
    if (!agent) {
      const proxy = proxyFor(url, this.env);
      const tls =
        url.protocol === 'https:'
          ? tlsFiles(isOwn ? this.host : url.host, isOwn ? this.certDir : undefined, this.env)
          : undefined;
      agent = proxy
        ? proxyAgent(proxy, url, tls, this.limits.connectMs)
        : tls
          ? new TlsAgent({ keepAlive: true, ...tls })
          : new PlainAgent({ keepAlive: true });
      this.#agents.set(url.origin, agent);
    }
    return agent;
  }

  [Symbol.dispose](): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }
}

class ReceivedAnswer implements Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;

  constructor(
    private readonly message: IncomingMessage,
    readonly url: URL,
    private readonly limits: Limits,
    private readonly abandon: () => void,
  ) {
    this.status = message.statusCode ?? 0;
    this.headers = message.headers;
    // Somebody reads it later, or nobody: an error until then is no one's yet.
    message.on('error', () => undefined);
  }

  async *stream(): AsyncGenerator<Buffer> {
    const { message, url, limits } = this;
    let since = 0;
    // Besides the silence that the socket watches over: a byte now and then is no progress.
    const watch = setInterval(() => {
      if (since < limits.stallBytes) message.destroy(stalled(url, limits));
      since = 0;
    }, limits.stallMs);
    try {
      for await (const chunk of message as AsyncIterable<Buffer>) {
        since += chunk.length;
        yield chunk;
      }
    } catch (error) {
      throw connectionFailure(error, url);
    } finally {
      clearInterval(watch);
      if (!message.complete) this.abandon();
    }
  }

  async read(maxBytes: number): Promise<Buffer> {
    const { message, url, limits } = this;
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => message.destroy(stalled(url, limits)), limits.documentMs);
    try {
      for await (const chunk of message as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > maxBytes)
          throw new TareError(
            'protocol',
            `${url.host} answered with more than ${maxBytes} bytes where a short text belongs`,
          );
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    } catch (error) {
      throw connectionFailure(error, url);
    } finally {
      clearTimeout(timer);
      if (!message.complete) this.abandon();
    }
  }

  async beginning(maxBytes: number): Promise<string> {
    try {
      return (await this.read(maxBytes)).toString();
    } catch (error) {
      // The status says enough.
      if (error instanceof TareError) return '';
      throw error;
    }
  }

  discard(): void {
    // A short rest is read, so that the connection can be used again; a long one is not waited for.
    if (Number(this.headers['content-length'] ?? Number.POSITIVE_INFINITY) < SHORT) this.message.resume();
    else this.abandon();
  }
}

const SHORT = 64 * 1024;

function unanswered(url: URL, { documentMs }: Limits): TareError {
  return mayPass(new TareError('timeout', `${url.host} does not answer: no whole header came in ${documentMs} ms`));
}

function stalled(url: URL, { stallMs }: Limits): TareError {
  return mayPass(new TareError('timeout', `${url.host} stands still: nothing worth mentioning came in ${stallMs} ms`));
}
