/**
 * Proxies, as the environment names them: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in small or capital letters. TLS goes through a tunnel (CONNECT), so the
 * proxy sees the host's name and nothing else. The loopback needs no proxy.
 * RFC 9110, section 9.3.6
 */
import { Agent as PlainAgent, request } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { TareError } from '../../kernel/error.js';
import type { TlsFiles } from './certificates.js';
import { isLoopback } from './endpoint.js';
import { mayPass } from './retry.js';

/** The proxy by which a URL is asked for; undefined for a direct connection. @throws TareError `config` */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv): URL | undefined {
  const kind = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const value = env[kind] || env[kind.toUpperCase()];
  if (!value || isLoopback(url.hostname) || isExcepted(url, env.no_proxy || env.NO_PROXY || '')) return undefined;
  const written = value.includes('://') ? value : `http://${value}`;
  const proxy = URL.canParse(written) ? new URL(written) : undefined;
  if (proxy?.protocol === 'http:') return proxy;
  throw new TareError(
    'config',
    `${kind.toUpperCase()} must be the URL of a proxy that is spoken to by HTTP, as http://host:port`,
  );
}

/** `NO_PROXY=example.org,.example.com,10.0.0.1:5000,*` */
function isExcepted({ hostname, port }: URL, list: string): boolean {
  return list.split(',').some((entry) => {
    const [, name = '', only] = /^\s*\*?\.?([^\s]*?)(?::(\d+))?\s*$/.exec(entry) ?? [];
    if (entry.trim() === '*') return true;
    if (name === '' || (only !== undefined && only !== port)) return false;
    return hostname === name.toLowerCase() || hostname.endsWith(`.${name.toLowerCase()}`);
  });
}

/** Connects through the proxy, always by a tunnel. @param connectMs how long the proxy may take to make one */
export function proxyAgent(
  proxy: URL,
  target: URL,
  tls: TlsFiles | undefined,
  connectMs: number,
): PlainAgent | TlsAgent {
  const agent = tls ? new TlsAgent({ keepAlive: true }) : new PlainAgent({ keepAlive: true });
  const port = target.port || (tls ? '443' : '80');
  Object.assign(agent, {
    createConnection: (_: object, done: (error: Error | null, socket?: Socket) => void) => {
      tunnel(proxy, `${target.hostname}:${port}`, connectMs).then(
        (socket) => done(null, tls ? connect({ socket, servername: target.hostname, ...tls }) : socket),
        done,
      );
    },
  });
  return agent;
}

function tunnel(proxy: URL, target: string, connectMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const account = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
    const headers = proxy.username
      ? { 'proxy-authorization': `Basic ${Buffer.from(account).toString('base64')}` }
      : undefined;
    const host = proxy.hostname.replace(/^\[|\]$/g, '');
    const asking = request({ host, port: proxy.port || 80, method: 'CONNECT', path: target, headers });
    // Who asked for it gives up by then; nobody else would close the connection to a proxy that says nothing.
    const late = mayPass(new TareError('timeout', `the proxy ${proxy.host} has made no connection in ${connectMs} ms`));
    const timer = setTimeout(() => asking.destroy(late), connectMs);
    asking.once('close', () => clearTimeout(timer));
    asking.once('error', (cause) =>
      reject(
        cause === late
          ? late
          : new TareError('network', `the proxy ${proxy.host} cannot be reached: ${cause.message}`, { cause }),
      ),
    );
    asking.once('connect', ({ statusCode }, socket) => {
      clearTimeout(timer);
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new TareError('network', `the proxy ${proxy.host} refuses a connection to ${target} (${statusCode})`));
    });
    asking.end();
  });
}
