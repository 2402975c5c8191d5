/**
 * A real registry (Debian's docker-registry) on a port of the loopback that the kernel chose, with its files in a folder that goes with it: open to
 * all, with passwords, with tokens from a server in this process, by TLS with a CA of its own.
 * https://distribution.github.io/distribution/about/configuration/ , .../spec/auth/token/
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSign, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RegistryOptions {
  /** Asks for `user` and `password`. */
  readonly htpasswd?: boolean;
  /** Asks for a token, which its token server gives to `user` and `password`; to others only for pulling. */
  readonly token?: boolean;
  /** Speaks TLS, by a certificate that `certificates` vouches for. */
  readonly tls?: boolean;
  /** Of TLS: lets only clients in that have a certificate of the CA. */
  readonly clientCertificates?: boolean;
}

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:40123`: the first part of image names. */
  readonly host: string;
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** Of TLS: a folder with ca.crt (and client.cert, client.key), as --cert-dir wants it. */
  readonly certificates: string;
  /** Where it keeps what it has. */
  readonly storage: string;
  /** What it has logged: requests are lines with `"GET /v2/… HTTP/1.1" 200`. */
  log(): string;
  stop(): Promise<void>;
}

export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-registry-'));
  const [user, password] = ['tester', 'a secret: with "quotes"'];
  const certificates = join(folder, 'certs');
  const storage = join(folder, 'storage');
  mkdirSync(certificates);
  const tokens = options.token ? await startTokenServer(folder, { user, password }) : undefined;
  let child: ChildProcess | undefined;
  const stop = async () => {
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child?.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    tokens?.server.closeAllConnections();
    await new Promise((resolve) => (tokens ? tokens.server.close(resolve) : resolve(undefined)));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    if (options.tls) makeCertificates(certificates, folder);
    // JSON is YAML too.
    const config = {
      version: 0.1,
      log: { level: 'info', accesslog: { disabled: false } },
      storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
      http: {
        addr: '127.0.0.1:0',
        secret: 'the same for all',
        ...(options.tls && {
          tls: {
            certificate: join(folder, 'server.crt'),
            key: join(folder, 'server.key'),
            ...(options.clientCertificates && { clientcas: [join(certificates, 'ca.crt')] }),
          },
        }),
      },
      ...(options.htpasswd && { auth: { htpasswd: { realm: 'test', path: makeHtpasswd(folder, user, password) } } }),
      ...(tokens && { auth: { token: tokens.auth } }),
    };
    writeFileSync(join(folder, 'config.yml'), JSON.stringify(config));
    const args = ['serve', join(folder, 'config.yml')];
    child = spawn('docker-registry', args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } });
    const log: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => log.push(chunk));
    const read = () => Buffer.concat(log).toString();
    const host = `127.0.0.1:${await portOf(child, read)}`;
    const url = `${options.tls ? 'https' : 'http'}://${host}`;
    return { host, url, user, password, certificates, storage, log: read, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** It says on which port it listens. */
function portOf(child: ChildProcess, log: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const port = /listening on [^ "]*:(\d+)/.exec(log())?.[1];
      if (port !== undefined) resolve(port);
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`docker-registry ended with ${code}: ${log()}`)));
  });
}

function makeHtpasswd(folder: string, user: string, password: string): string {
  const path = join(folder, 'htpasswd');
  // bcrypt, which is what it takes: crypt(5), "$2y$", with the least cost.
  const salt = `$2y$04$${randomBytes(16).toString('hex').slice(0, 21)}u`;
  const hash = execFileSync('perl', ['-e', 'print crypt($ARGV[0], $ARGV[1])', password, salt], { encoding: 'utf8' });
  writeFileSync(path, `${user}:${hash}\n`);
  return path;
}

/** A CA, a certificate of it for this machine's loopback names, and one for a client. openssl-x509(1) */
function makeCertificates(folder: string, secret: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const [ca, caKey] = [join(folder, 'ca.crt'), join(secret, 'ca.key')];
  openssl('req', '-x509', ...key, '-keyout', caKey, '-out', ca, '-days', '2', '-subj', '/CN=a test CA');
  const sign = (name: string, certificate: string, secretKey: string, extension: string) => {
    const request = join(secret, 'request');
    openssl('req', ...key, '-keyout', secretKey, '-out', request, '-subj', `/CN=${name}`);
    writeFileSync(join(secret, 'extension'), extension);
    const by = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-CAserial', join(secret, 'serial')];
    const extensions = ['-extfile', join(secret, 'extension')];
    openssl('x509', '-req', '-in', request, ...by, '-out', certificate, '-days', '2', ...extensions);
  };
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n';
  sign('localhost', join(secret, 'server.crt'), join(secret, 'server.key'), names);
  sign('client', join(folder, 'client.cert'), join(folder, 'client.key'), 'extendedKeyUsage=clientAuth\n');
}

interface TokenServer {
  readonly server: Server;
  /** The registry's `auth.token`. */
  readonly auth: object;
}

/** Gives tokens: JSON Web Tokens, signed with a key whose certificate the registry knows. */
async function startTokenServer(folder: string, account: { user: string; password: string }): Promise<TokenServer> {
  const [key, certificate] = [join(folder, 'token.key'), join(folder, 'token.crt')];
  const make = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...make, '-subj', '/CN=tokens'], { stdio: 'pipe' });
  const refreshTokens = new Set<string>();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://token');
    let body = '';
    for await (const chunk of request) body += chunk;
    const fields = request.method === 'POST' ? new URLSearchParams(body) : url.searchParams;
    const basic = Buffer.from(request.headers.authorization?.replace(/^Basic /, '') ?? '', 'base64').toString();
    const known =
      request.method === 'POST'
        ? refreshTokens.has(fields.get('refresh_token') ?? '')
        : basic === `${account.user}:${account.password}`;
    const wrong = request.method === 'POST' || basic !== '';
    if (wrong && !known) {
      response
        .writeHead(401, { 'content-type': 'application/json' })
        .end('{"details":"incorrect username or password"}');
      return;
    }
    const scopes = fields.getAll('scope').flatMap((scope) => scope.split(' '));
    const access = scopes.filter(Boolean).map((scope) => {
      const [type, name, actions] = scope.split(':') as [string, string, string];
      return { type, name, actions: actions.split(',').filter((action) => known || action === 'pull') };
    });
    const refresh = fields.get('offline_token') === 'true' && known ? randomBytes(8).toString('hex') : undefined;
    if (refresh) refreshTokens.add(refresh);
    const token = signed({ key, certificate }, { sub: known ? account.user : '', aud: fields.get('service'), access });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token, expires_in: 300, ...(refresh && { refresh_token: refresh }) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  return { server, auth: { realm, service: 'test registry', issuer: 'tare tests', rootcertbundle: certificate } };
}

/** RFC 7515, RFC 7519. */
function signed(files: { key: string; certificate: string }, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const der = readFileSync(files.certificate, 'utf8').replace(/-----[^-]+-----|\s/g, '');
  const now = Math.floor(Date.now() / 1000);
  const times = { iat: now, nbf: now - 10, exp: now + 300, jti: randomBytes(8).toString('hex') };
  const text = `${part({ typ: 'JWT', alg: 'RS256', x5c: [der] })}.${part({ iss: 'tare tests', ...times, ...claims })}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(readFileSync(files.key), 'base64url')}`;
}
