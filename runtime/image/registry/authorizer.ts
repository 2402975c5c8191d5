/**
 * Who we are, for one registry: what its challenge asks for, made of our credentials. Basic sends the password; Bearer gets a token for what is to be
 * done, from the server that the challenge names, and keeps it as long as it is good.
 * RFC 7617, RFC 6750; distribution's "Token Authentication Specification" and "OAuth2 Token Authentication"
 */
import { TareError } from '../../kernel/error.js';
import { type Challenge, checkedRealm, parseChallenges } from './challenge.js';
import type { Credentials } from './credentials.js';
import type { Answer, Connections } from './exchange.js';
import { statusFailure } from './failures.js';
import { MAX_ANSWER } from './limits.js';

/** What is to be done in which repository: scopes of a token. Without a repository, the registry itself. */
export interface Access {
  readonly repository?: string;
  readonly actions?: 'pull' | 'pull,push';
  /** A repository from which a blob is to be mounted. */
  readonly from?: string;
}

interface Token {
  readonly value: string;
  /** By performance.now(). */
  readonly goodUntil: number;
}

/** A token without `expires_in` is good for so long: the specification's 60 s. */
const DEFAULT_SECONDS = 60;
/** A token that is about to end is not used any more: it must last until the answer. */
const RESERVE_MS = 5000;
const CLIENT_ID = 'tare';

export class Authorizer {
  #challenge: Challenge | undefined;
  readonly #tokens = new Map<string, Promise<Token>>();
  /** What the token server gave us to come again with, in place of the password. */
  refreshToken: string | undefined;

  /** @param wantsRefreshToken asks for one */
  constructor(
    private readonly registry: URL,
    private readonly name: string,
    readonly credentials: Credentials | undefined,
    private readonly connections: Connections,
    private readonly wantsRefreshToken = false,
  ) {}

  /** For the Authorization header; undefined while the registry has not asked for one. */
  async header(access: Access, signal?: AbortSignal): Promise<string | undefined> {
    const { credentials } = this;
    if (credentials?.kind === 'token') return `Bearer ${checkedToken(credentials.token, this.registry)}`;
    if (this.#challenge === undefined) return undefined;
    if (this.#challenge.scheme === 'basic') {
      if (credentials?.kind !== 'password') return undefined;
      return `Basic ${basic(credentials)}`;
    }
    const scopes = scopesOf(access);
    const key = scopes.join(' ');
    let token = this.#tokens.get(key);
    if (token && (await token).goodUntil < performance.now()) token = undefined;
    if (!token) {
      token = this.#ask(this.#challenge, scopes, signal);
      this.#tokens.set(key, token);
      // Who fails does not fail for all who come later.
      token.catch(() => this.#tokens.delete(key));
    }
    return `Bearer ${(await token).value}`;
  }

  /**
   * The registry answered 401 to a request that had this header.
   * @returns whether it is worth asking again
   */
  challenged(answer: Pick<Answer, 'headers'>, access: Access, header: string | undefined): boolean {
    const challenges = parseChallenges(answer.headers['www-authenticate'] ?? '');
    const challenge =
      challenges.find(({ scheme }) => scheme === 'bearer') ?? challenges.find(({ scheme }) => scheme === 'basic');
    if (challenge === undefined || this.credentials?.kind === 'token') return false;
    if (challenge.scheme === 'basic' && this.credentials?.kind !== 'password') return false;
    this.#challenge = challenge;
    // A token may have ended earlier than it said; a password is not better the second time.
    const isOld = header !== undefined && this.#tokens.delete(scopesOf(access).join(' '));
    return header === undefined || isOld;
  }

  async #ask({ parameters }: Challenge, scopes: readonly string[], signal?: AbortSignal): Promise<Token> {
    const { credentials } = this;
    const refresh = credentials?.kind === 'identity' ? credentials.token : undefined;
    const realm = checkedRealm(parameters.get('realm'), this.registry, credentials !== undefined);
    const service = parameters.get('service');
    const fields = new URLSearchParams();
    if (service !== undefined) fields.set('service', service);
    for (const scope of scopes) fields.append('scope', scope);
    fields.set('client_id', CLIENT_ID);
    const answer = await (refresh === undefined
      ? this.#get(realm, fields, credentials?.kind === 'password' ? credentials : undefined, signal)
      : this.#post(realm, fields, refresh, signal));
    if (answer.status !== 200) {
      const body = await answer.beginning(MAX_ANSWER);
      const refused = answer.status === 401 || answer.status === 400 || answer.status === 403;
      if (refused && credentials)
        throw new TareError(
          'permission',
          `${this.name} does not accept the user name or password: "tare login ${this.name}" gives it others`,
        );
      throw statusFailure({ ...pick(answer), body }, 'a token', this.name, credentials !== undefined);
    }
    return this.#tokenOf(await answer.read(MAX_ANSWER), realm);
  }

  #get(realm: URL, fields: URLSearchParams, password: PasswordOnly | undefined, signal?: AbortSignal): Promise<Answer> {
    const url = new URL(realm);
    if (password) {
      fields.set('account', password.username);
      if (this.wantsRefreshToken) fields.set('offline_token', 'true');
    }
    for (const [name, value] of fields) url.searchParams.append(name, value);
    const headers: Record<string, string> = password ? { authorization: `Basic ${basic(password)}` } : {};
    return this.connections.exchange({ method: 'GET', url, headers, signal });
  }

  #post(url: URL, fields: URLSearchParams, refresh: string, signal?: AbortSignal): Promise<Answer> {
    const scopes = fields.getAll('scope');
    fields.set('scope', scopes.join(' '));
    fields.set('grant_type', 'refresh_token');
    fields.set('refresh_token', refresh);
    const data = Buffer.from(fields.toString());
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return this.connections.exchange({
      method: 'POST',
      url,
      headers,
      body: { length: data.length, open: () => [data] },
      signal,
    });
  }

  #tokenOf(data: Buffer, realm: URL): Token {
    let fields: Record<string, unknown>;
    try {
      fields = (JSON.parse(data.toString()) ?? {}) as Record<string, unknown>;
    } catch (cause) {
      throw new TareError('protocol', `${realm.host} answered with something else than a token`, { cause });
    }
    const { token, access_token, expires_in, refresh_token } = fields;
    const value = checkedToken(token || access_token, realm);
    if (typeof refresh_token === 'string') this.refreshToken = refresh_token;
    const seconds = typeof expires_in === 'number' && expires_in > 0 ? expires_in : DEFAULT_SECONDS;
    return { value, goodUntil: performance.now() + Math.max(seconds * 1000 - RESERVE_MS, RESERVE_MS) };
  }
}

type PasswordOnly = Extract<Credentials, { kind: 'password' }>;

function basic({ username, password }: PasswordOnly): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}

function scopesOf({ repository, actions = 'pull', from }: Access): string[] {
  if (repository === undefined) return [];
  return [`repository:${repository}:${actions}`, ...(from === undefined ? [] : [`repository:${from}:pull`])];
}

/** It becomes a header: nothing in it may end the line. RFC 6750, section 2.1 */
function checkedToken(token: unknown, from: URL): string {
  if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new TareError('protocol', `${from.host} gave no token that can be used`);
}

function pick({ status, headers, url }: Answer): Pick<Answer, 'status' | 'headers' | 'url'> {
  return { status, headers, url };
}
