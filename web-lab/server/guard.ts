/**
 * Who may talk to the lab. The Host header must name this server, or a page on another name that resolves to the loopback
 * address could talk to it (DNS rebinding). Whatever changes something, and every WebSocket, must come from a page of this
 * server (Origin, RFC 6454). And everybody must have seen the token: the URL printed at the start carries it once, and is
 * exchanged for a cookie that scripts cannot read and other sites cannot send (RFC 6265bis, HttpOnly, SameSite=Strict).
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export interface Refusal {
  readonly status: 400 | 401 | 403;
  /** One sentence. */
  readonly sentence: string;
}

export class Guard {
  readonly token: string;
  /** Cookies do not tell ports apart, so the port is in the name: two labs on one machine do not log each other out. */
  readonly #cookieName: string;
  readonly #cookieValue = randomBytes(32).toString('base64url');
  readonly #hosts: ReadonlySet<string>;

  /** `names` are the host names, without port, under which the server may be reached. */
  constructor(names: readonly string[], port: number, token = randomBytes(32).toString('base64url')) {
    this.token = token;
    this.#cookieName = `tare-lab-${port}`;
    const hosts = names.map((name) => (name.includes(':') ? `[${name}]` : name.toLowerCase()));
    this.#hosts = new Set(hosts.flatMap((host) => (port === 80 ? [host, `${host}:80`] : [`${host}:${port}`])));
  }

  /** A refusal unless the request names this server, and, if it changes something or upgrades, comes from its page. */
  checkOrigin(request: IncomingMessage, changes: boolean): Refusal | undefined {
    const host = request.headers.host?.toLowerCase();
    if (host === undefined || !this.#hosts.has(host)) {
      return { status: 403, sentence: 'This lab does not answer under that host name.' };
    }
    const origin = request.headers.origin;
    // A request without Origin that changes something is not from a browser's page, so it is refused too.
    if (changes && origin !== `http://${host}`) {
      return { status: 403, sentence: 'The request comes from a page of another origin.' };
    }
    return undefined;
  }

  checkCookie(request: IncomingMessage): Refusal | undefined {
    for (const part of (request.headers.cookie ?? '').split(';')) {
      const at = part.indexOf('=');
      if (part.slice(0, at).trim() === this.#cookieName && same(part.slice(at + 1).trim(), this.#cookieValue))
        return undefined;
    }
    return {
      status: 401,
      sentence: 'This lab needs the address that it printed when it was started: the one with “?token=”.',
    };
  }

  /** The Set-Cookie header for the right token; undefined for a wrong one. */
  exchange(token: string): string | undefined {
    if (!same(token, this.token)) return undefined;
    return `${this.#cookieName}=${this.#cookieValue}; Path=/; HttpOnly; SameSite=Strict`;
  }
}

/**
 * Headers of every answer. Scripts, fonts and connections only from here. xterm makes style elements while it runs: they
 * need the page's nonce (client/src/nonce.ts); and it sets style attributes for 24-bit colours, which no nonce can allow.
 */
export function securityHeaders(host: string, nonce?: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self'${nonce ? ` 'nonce-${nonce}'` : ''}`,
    "style-src-attr 'unsafe-inline'",
    "font-src 'self'",
    "img-src 'self' data:",
    // 'self' covers ws: in newer browsers only (CSP 3).
    `connect-src 'self' ws://${host}`,
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    'Content-Security-Policy': policy.join('; '),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
  };
}

/** Compares in constant time whatever the lengths are: both sides are hashed first. */
function same(left: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}
