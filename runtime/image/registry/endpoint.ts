/**
 * Where the images of a registry are: at its mirrors, then at itself. docker.io is a name that never was a host. Plain HTTP is spoken on this machine's
 * loopback, where nobody listens in, and elsewhere only when somebody asked for it.
 * RFC 1122, section 3.2.1.3; RFC 6761, section 6.3
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { TareError } from '../../kernel/error.js';

/** A server that speaks the distribution protocol. */
export interface Endpoint {
  /** `127.0.0.1:5000`: by which credentials and certificates are found. */
  readonly host: string;
  /** `auto`: TLS, unless it is of the loopback and speaks none. */
  readonly scheme: 'https' | 'http' | 'auto';
  /** Before `/v2/`; empty, or begins with a slash. */
  readonly prefix: string;
}

export interface EndpointOptions {
  /** Without TLS, also beyond the loopback. */
  readonly plainHttp?: boolean;
  /** URLs that are asked first. What a file says is not asked then. */
  readonly mirrors?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** The mirrors, and the registry itself as the last. @throws TareError `usage`, `config` */
export function endpointsOf(registry: string, options: EndpointOptions = {}): Endpoint[] {
  const mirrors = options.mirrors ?? mirrorsInFile(registry, options.env);
  return [...mirrors.map((mirror) => mirrorOf(mirror, options)), endpointOf(registry, options)];
}

/** The registry itself. */
export function endpointOf(registry: string, { plainHttp = false }: EndpointOptions = {}): Endpoint {
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  return { host, scheme: plainHttp ? 'http' : isLoopback(nameOf(host)) ? 'auto' : 'https', prefix: '' };
}

/**
 * Surely this machine alone, so that plain HTTP is as good as TLS. Not `localhost.`: with the dot, /etc/hosts does not have it, and who answers for DNS could
 * say that it is elsewhere.
 */
export function isLoopback(hostname: string): boolean {
  const name = bare(hostname);
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '::1' ||
    /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/.test(name) ||
    // As a URL writes ::ffff:127.0.0.1. RFC 4291, section 2.5.5.2
    /^::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}$/.test(name)
  );
}

/** Perhaps this machine, so that nobody from elsewhere may send us there: also by a dot at the end, and by the address of no host, which connect(2) takes for it. */
export function mayBeThisMachine(hostname: string): boolean {
  const name = bare(hostname).replace(/\.+$/, '');
  return isLoopback(name) || ['0.0.0.0', '::', '::ffff:0:0', '::ffff:0.0.0.0'].includes(name);
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

/** Without the port. */
function nameOf(host: string): string {
  return host.replace(/:\d+$/, '');
}

/** `https://mirror.example/prefix`, or a host alone. */
function mirrorOf(text: string, { plainHttp = false }: EndpointOptions): Endpoint {
  let url: URL;
  try {
    url = new URL(text.includes('://') ? text : `https://${text}`);
  } catch (error) {
    throw new TareError('usage', `${JSON.stringify(text)} is no mirror: it is written as https://host`, {
      cause: error,
    });
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new TareError('usage', `${JSON.stringify(text)} is no mirror: it is written as https://host`);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new TareError('usage', `${JSON.stringify(text)} is no mirror: it has more than a host and a path`);
  if (url.protocol === 'http:' && !plainHttp && !isLoopback(url.hostname))
    throw new TareError(
      'usage',
      `the mirror ${url.host} would be asked by plain HTTP: say --plain-http if it is to be so`,
    );
  const scheme = url.protocol === 'http:' ? 'http' : plainHttp ? 'http' : 'https';
  return { host: url.host, scheme, prefix: url.pathname.replace(/\/+$/, '') };
}

/** `registries.json`: `{"mirrors": {"docker.io": ["https://mirror.example"]}}`, of the user or of the machine. */
function mirrorsInFile(registry: string, env: NodeJS.ProcessEnv = process.env): readonly string[] {
  const own = join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'tare/registries.json');
  for (const path of [own, '/etc/tare/registries.json']) {
    if (!existsSync(path)) continue;
    const found = readMirrors(path)[registry];
    if (found !== undefined) return found;
  }
  return [];
}

function readMirrors(path: string): Readonly<Record<string, readonly string[]>> {
  const wrong = (cause?: unknown) =>
    new TareError('config', `${path} must be {"mirrors": {"docker.io": ["https://mirror.example"]}}`, { path, cause });
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw wrong(error);
  }
  const { mirrors = {} } = (content ?? {}) as { mirrors?: Record<string, unknown> };
  const isList = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === 'string');
  if (typeof mirrors !== 'object' || mirrors === null || !Object.values(mirrors).every(isList)) throw wrong();
  return Object.assign(Object.create(null), mirrors) as Record<string, string[]>;
}
