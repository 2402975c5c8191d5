/**
 * What a registry wants before it answers: the WWW-Authenticate header, `Bearer realm="https://auth.example/token",service="registry.example"`. Several
 * challenges may stand in one header.
 * RFC 9110, section 11.6.1; distribution's "Token Authentication Specification"
 */
import { TareError } from '../../kernel/error.js';
import { isLoopback, mayBeThisMachine } from './endpoint.js';

export interface Challenge {
  /** In small letters: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const MAX_CHALLENGE = 8192;

/** What cannot be read is left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  const parts = /\s*,?\s*(?:([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([\w!#$%&'*+.^`|~-]+))/y;
  const text = header.slice(0, MAX_CHALLENGE);
  for (let match = parts.exec(text); match !== null; match = parts.exec(text)) {
    const [, name, quoted, plain, scheme] = match;
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
    else
      challenges.at(-1)?.parameters.set((name as string).toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '');
  }
  return challenges;
}

/**
 * Where a token is asked for. Who says so is the registry, a stranger, and a password may be sent there: so only by TLS, except on the loopback and from a
 * registry that is itself there.
 * @throws TareError `protocol`
 */
export function checkedRealm(realm: string | undefined, registry: URL, withSecret: boolean): URL {
  const wrong = (why: string) =>
    new TareError('protocol', `${registry.host} wants its tokens asked for at ${JSON.stringify(realm ?? '')}: ${why}`);
  if (realm === undefined || !URL.canParse(realm)) throw wrong('that is no URL');
  const url = new URL(realm);
  if (url.username !== '' || url.password !== '') throw wrong('it has a password in it');
  // As a redirect: whoever is elsewhere does not send us to what listens on this machine alone.
  if (mayBeThisMachine(url.hostname) && !mayBeThisMachine(registry.hostname))
    throw wrong('that is this machine itself');
  if (url.protocol === 'https:') return url;
  if (url.protocol !== 'http:') throw wrong('only https is asked');
  if (isLoopback(registry.hostname) && isLoopback(url.hostname)) return url;
  if (withSecret) throw wrong('your password would be sent there by plain HTTP, for everybody to read; refused');
  if (registry.protocol === 'http:' && url.hostname === registry.hostname) return url;
  throw wrong('a token would come by plain HTTP, for everybody to read; refused');
}
