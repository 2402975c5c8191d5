/**
 * What went wrong, as a sentence that says what to do: of the network, of TLS, and of what a registry answered. Those that may pass are marked.
 * RFC 9110, section 15; distribution-spec.md, "Error Codes"; errors.h of Node's tls (X.509 codes of OpenSSL)
 */
import { TareError } from '../../kernel/error.js';
import { isLoopback } from './endpoint.js';
import { mayPass, retryAfter } from './retry.js';

/** Of an exchange that came to nothing. */
export function connectionFailure(error: unknown, url: URL): TareError {
  if (error instanceof TareError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const host = url.host;
  const network = (text: string) => new TareError('network', text, { cause: error });
  if (code === 'ENOTFOUND') return network(`there is no host ${url.hostname}: is the name of the registry right?`);
  if (code === 'ECONNREFUSED')
    return mayPass(network(`nothing answers at ${host}: the connection was refused; is the registry running?`));
  if (isPlainHttp(error)) {
    const how = isLoopback(url.hostname) ? '' : ': if it is to be used without encryption, say so by --plain-http';
    return network(`${host} speaks plain HTTP and not TLS${how}`);
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return network(`the certificate of ${host} is for other names (${message}): is the name of the registry right?`);
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return network(
      `the certificate of ${host} does not hold now (${message}): it must be renewed there, unless this machine's clock is wrong`,
    );
  if (isDistrust(code))
    return network(
      `the certificate of ${host} is not trusted (${message}): put the certificate of its CA into /etc/docker/certs.d/${host}/ca.crt, or name its folder by --cert-dir`,
    );
  if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || code === 'EPROTO')
    return network(`no TLS connection with ${host}: ${reasonOf(error)}`);
  return mayPass(network(`the connection with ${host} failed: ${message}`));
}

/** OpenSSL found something that is no TLS record. */
export function isPlainHttp(error: unknown): boolean {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return (
    (code === 'EPROTO' || code.startsWith('ERR_SSL')) &&
    /wrong[ _]version[ _]number|http[ _]request/i.test(`${code} ${message}`)
  );
}

function isDistrust(code: string): boolean {
  return /^(?:CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|INVALID_PURPOSE)/.test(code);
}

function reasonOf(error: unknown): string {
  const { reason, message } = error as { reason?: string; message: string };
  return reason ?? message;
}

/** What is asked for by who only wants to know whether they are let in. */
export const LOGIN = 'login';

/** What an answer says of itself: its status and what is in its body. */
export interface Refusal {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly url: URL;
  /** The beginning of the body. */
  readonly body: string;
}

/** @param what was asked for: `docker.io/library/debian:12` @param registry as people call it @param hasCredentials we have sent some */
export function statusFailure(answer: Refusal, what: string, registry: string, hasCredentials: boolean): TareError {
  const { status, headers } = answer;
  const said = messageOf(answer.body);
  const because = said === undefined ? '' : `: ${said}`;
  if (status === 401 && what === LOGIN)
    return new TareError('permission', `${registry} does not accept this user name and password${because}`);
  if (status === 401) {
    const how = hasCredentials
      ? `does not let you have ${what}${because}; "tare login ${registry}" gives it other credentials`
      : `wants to know who asks for ${what}${because}; "tare login ${registry}" tells it (it may also be that there is no such repository)`;
    return new TareError('permission', `${registry} ${how}`);
  }
  if (status === 403) return new TareError('permission', `${registry} forbids it to you: ${what}${because}`);
  if (status === 404) return new TareError('not-found', `${registry} has no ${what}${because}`);
  if (status === 429) {
    const wait = retryAfter(first(headers['retry-after']));
    const when = wait === undefined ? 'try again later' : `it asks to wait ${Math.ceil(wait / 1000)} s`;
    return mayPass(new TareError('busy', `${registry} has had too many requests${because}; ${when}`), wait);
  }
  if (status >= 500 || status === 408) {
    const wait = retryAfter(first(headers['retry-after']));
    return mayPass(new TareError('network', `${registry} cannot answer now (${status})${because}`), wait);
  }
  return new TareError('protocol', `${registry} answered ${status} when asked for ${what}${because}`);
}

/** `{"errors": [{"code": "DENIED", "message": "..."}]}`, or a token server's `{"details": "..."}`: the first sentence, shortened. */
function messageOf(body: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (error) {
    // A page of a proxy says nothing in a sentence.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const { errors, details } = (parsed ?? {}) as { errors?: unknown; details?: unknown };
  const one = (Array.isArray(errors) ? errors[0] : undefined) as { code?: unknown; message?: unknown } | undefined;
  const text = [one?.message, one?.code, details].find((value) => typeof value === 'string' && value !== '');
  return text === undefined ? undefined : (text as string).slice(0, MAX_SENTENCE);
}

const MAX_SENTENCE = 200;

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
