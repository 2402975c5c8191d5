/**
 * A client of one endpoint of the distribution protocol: each request with what proves who we are, tried again where that may help, redirects
 * followed by hand. What proves who we are goes to the endpoint itself and to the token server that it names; never to where a redirect leads (CVE-2020-15157).
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
 */
import { connect } from 'node:tls';
import { TareError } from '../../kernel/error.js';
import { type Access, Authorizer } from './authorizer.js';
import { type Credentials, findCredentials } from './credentials.js';
import { type Endpoint, isLoopback, mayBeThisMachine } from './endpoint.js';
import { type Answer, Connections, type Exchange } from './exchange.js';
import { connectionFailure, isPlainHttp, statusFailure } from './failures.js';
import { DEFAULT_LIMITS, type Limits, MAX_ANSWER } from './limits.js';
import { withRetries } from './retry.js';

export interface ClientOptions {
  /** A folder with the CA (`*.crt`) and our certificate (`*.cert`, `*.key`) for this registry. */
  readonly certDir?: string | undefined;
  /** Instead of those that are found in files; null for none. */
  readonly credentials?: Credentials | null | undefined;
  /** Asks the token server for a token that takes the place of the password. */
  readonly wantsRefreshToken?: boolean;
  readonly limits?: Partial<Limits> | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Ask extends Omit<Exchange, 'url' | 'signal'> {
  /** Below the endpoint (`/v2/…`), or where an answer of it led. */
  readonly to: string | URL;
  readonly access: Access;
  /** The statuses that are no failure. */
  readonly expect: readonly number[];
  /** What is asked for, in the sentence that says that it failed. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
  /** 1 for what the caller tries again itself. */
  readonly attempts?: number;
  readonly onRetry?: ((reason: string) => void) | undefined;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = [301, 302, 303, 307, 308];
/** The same request, with its body, goes elsewhere: RFC 9110, sections 15.4.8 and 15.4.9. Others would make a GET of it, which sends nothing. */
const SAME_REQUEST = [307, 308];

export class RegistryClient implements Disposable {
  private constructor(
    /** As people call it: `docker.io`. */
    readonly name: string,
    readonly url: URL,
    readonly limits: Limits,
    readonly authorizer: Authorizer,
    private readonly connections: Connections,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Finds out how it is spoken to. @throws TareError as `ask` does */
  static async connect(name: string, endpoint: Endpoint, options: ClientOptions = {}): Promise<RegistryClient> {
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const connections = new Connections(endpoint.host, limits, options.certDir, options.env);
    try {
      const scheme = endpoint.scheme === 'auto' ? await findScheme(endpoint, limits, options) : endpoint.scheme;
      const url = new URL(`${scheme}://${endpoint.host}${endpoint.prefix}/`);
      const credentials =
        options.credentials === undefined
          ? await findCredentials(credentialName(endpoint), options.env)
          : options.credentials;
      const wantsRefreshToken = options.wantsRefreshToken ?? false;
      const authorizer = new Authorizer(url, name, credentials ?? undefined, connections, wantsRefreshToken);
      return new RegistryClient(name, url, limits, authorizer, connections, options.signal);
    } catch (error) {
      connections[Symbol.dispose]();
      throw error;
    }
  }

  /** Asks, and gives the answer if its status is expected. @throws TareError `not-found`, `permission`, `busy`, `network`, `timeout`, `protocol` */
  ask(ask: Ask): Promise<Answer> {
    const signal = ask.signal ?? this.signal;
    const limits = ask.attempts === undefined ? this.limits : { ...this.limits, attempts: ask.attempts };
    return withRetries({ limits, signal, onRetry: ask.onRetry }, () => this.#askOnce({ ...ask, signal }));
  }

  /** Where an answer of this registry leads, relative or absolute. @throws TareError `protocol` for what must not be followed */
  resolve(location: string | undefined, base: URL): URL {
    const wrong = (why: string) =>
      new TareError('protocol', `${base.host} sends us to ${JSON.stringify(location ?? '')}: ${why}`);
    if (location === undefined || !URL.canParse(location, base.href)) throw wrong('that is no URL');
    const url = new URL(location, base);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw wrong('that is no web address');
    // Not from TLS to what everybody can read and change; nor from afar to what listens on this machine alone.
    if (url.protocol === 'http:' && base.protocol === 'https:') throw wrong('that would be without TLS');
    if (url.protocol === 'http:' && url.host !== base.host && !isLoopback(url.hostname))
      throw wrong('that would be without TLS');
    if (mayBeThisMachine(url.hostname) && !mayBeThisMachine(base.hostname)) throw wrong('that is this machine itself');
    url.username = '';
    url.password = '';
    return url;
  }

  /** Is this the registry itself, to which our credentials may go? */
  isOwn(url: URL): boolean {
    return url.origin === this.url.origin;
  }

  [Symbol.dispose](): void {
    this.connections[Symbol.dispose]();
  }

  async #askOnce(ask: Ask): Promise<Answer> {
    let url =
      typeof ask.to === 'string' ? new URL(`${this.url.pathname.replace(/\/$/, '')}${ask.to}`, this.url) : ask.to;
    for (let redirects = 0; ; ) {
      const { answer, isAuthorized } = await this.#exchange(url, ask);
      if (ask.expect.includes(answer.status)) return answer;
      const followed = ask.method === 'GET' || ask.method === 'HEAD' ? REDIRECTS : SAME_REQUEST;
      if (followed.includes(answer.status)) {
        answer.discard();
        if (++redirects > MAX_REDIRECTS) throw new TareError('protocol', `${this.name} redirects in a circle`);
        url = this.resolve(answer.headers.location, url);
        continue;
      }
      const body = await answer.beginning(MAX_ANSWER);
      throw statusFailure(
        { status: answer.status, headers: answer.headers, url, body },
        ask.what,
        this.isOwn(url) ? this.name : url.host,
        isAuthorized,
      );
    }
  }

  /** With our credentials where they belong; a second time when they are asked for. */
  async #exchange(url: URL, ask: Ask): Promise<{ answer: Answer; isAuthorized: boolean }> {
    const { method, body, access, signal } = ask;
    for (let isAgain = false; ; isAgain = true) {
      const authorization = this.isOwn(url) ? await this.authorizer.header(access, signal) : undefined;
      const headers = { ...ask.headers, ...(authorization !== undefined && { authorization }) };
      const answer = await this.connections.exchange({ method, url, headers, body, signal });
      const isAuthorized = this.authorizer.credentials !== undefined;
      if (answer.status !== 401 || !this.isOwn(url)) return { answer, isAuthorized };
      if (isAgain || !this.authorizer.challenged(answer, access, authorization)) return { answer, isAuthorized };
      answer.discard();
    }
  }
}

/** Mirrors have credentials of their own. */
function credentialName({ host }: Endpoint): string {
  return host === 'registry-1.docker.io' ? 'docker.io' : host;
}

/**
 * On the loopback TLS is tried first: then nobody who just listens there can have it otherwise. Only the handshake is made here; whether the certificate
 * is trusted is found out by the first request, and one that is not is not gone around.
 */
async function findScheme({ host }: Endpoint, limits: Limits, options: ClientOptions): Promise<'http' | 'https'> {
  if (options.certDir !== undefined) return 'https';
  options.signal?.throwIfAborted();
  const url = new URL(`https://${host}/`);
  const error = await handshakeFailure(url, limits.connectMs, options.signal);
  options.signal?.throwIfAborted();
  if (error === undefined) return 'https';
  // A server of one line of code breaks off at what it does not understand.
  if (isPlainHttp(error) || error.code === 'ECONNRESET') return 'http';
  // It has said something in TLS, such as that it wants a certificate of ours.
  if (/^(?:ERR_SSL|EPROTO)/.test(error.code ?? '')) return 'https';
  throw connectionFailure(error, url);
}

/** undefined when the other side speaks TLS. */
function handshakeFailure(
  { hostname, port }: URL,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const host = hostname.replace(/^\[|\]$/g, '');
    const socket = connect({ host, port: Number(port || 443), ca: [], rejectUnauthorized: false, timeout: timeoutMs });
    const end = (error?: Error) => {
      signal?.removeEventListener('abort', stop);
      socket.destroy();
      resolve(error);
    };
    const stop = () => end();
    signal?.addEventListener('abort', stop);
    socket.once('secureConnect', () => end());
    socket.once('timeout', () => end(Object.assign(new Error('it does not answer'), { code: 'ETIMEDOUT' })));
    socket.on('error', end);
  });
}
