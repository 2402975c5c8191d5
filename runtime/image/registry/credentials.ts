/**
 * Credentials, as other programs keep them: Docker's config.json (`auths`, `credHelpers`, `credsStore`) and auth.json of containers. A helper is the
 * program docker-credential-NAME, asked by its standard input.
 * https://docs.docker.com/reference/cli/docker/login/ , containers-auth.json(5), https://github.com/docker/docker-credential-helpers
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { askHelper } from './credential-helper.js';

export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** Given by a token server in place of the password (OAuth2's refresh token). */
  | { readonly kind: 'identity'; readonly token: string }
  /** Sent as it is. */
  | { readonly kind: 'token'; readonly token: string };

export interface AuthFile {
  auths?: Record<string, AuthEntry>;
  credHelpers?: Record<string, string>;
  credsStore?: string;
  [other: string]: unknown;
}

export interface AuthEntry {
  auth?: string;
  username?: string;
  password?: string;
  identitytoken?: string;
  registrytoken?: string;
}

/** Docker's name for docker.io in these files. */
const DOCKER_KEY = 'https://index.docker.io/v1/';

/** Of a registry, by the first file that knows it. @throws TareError `config`, `command-not-found`, `protocol` */
export async function findCredentials(
  registry: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Credentials | undefined> {
  for (const path of authFiles(env)) {
    const file = readAuthFile(path);
    if (!file) continue;
    const helper = file.credHelpers?.[registry] ?? file.credHelpers?.[keyOf(registry)] ?? file.credsStore;
    const found = helper ? await askHelper(helper, keyOf(registry), env) : undefined;
    if (found) return found;
    const entry = entryOf(file.auths ?? {}, registry);
    const own = entry && credentialsOf(entry, path);
    if (own) return own;
  }
  return undefined;
}

/** Where login writes, and the others that are read. */
export function authFiles(env: NodeJS.ProcessEnv = process.env): [string, ...string[]] {
  const home = env.HOME || homedir();
  const docker = join(env.DOCKER_CONFIG || join(home, '.docker'), 'config.json');
  if (env.REGISTRY_AUTH_FILE) return [env.REGISTRY_AUTH_FILE, docker];
  const containers = [
    ...(env.XDG_RUNTIME_DIR ? [join(env.XDG_RUNTIME_DIR, 'containers/auth.json')] : []),
    join(env.XDG_CONFIG_HOME || join(home, '.config'), 'containers/auth.json'),
  ];
  return [docker, ...containers];
}

/** undefined when there is none. @throws TareError `config` */
export function readAuthFile(path: string): AuthFile | undefined {
  if (!existsSync(path)) return undefined;
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new TareError('config', `${path} cannot be read as JSON`, { path, cause });
  }
  const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
  const { auths = {}, credHelpers = {}, credsStore = '' } = (isObject(content) ? content : { auths: 0 }) as AuthFile;
  const isRight =
    isObject(auths) &&
    Object.values(auths).every(isObject) &&
    isObject(credHelpers) &&
    Object.values(credHelpers).every((name) => typeof name === 'string') &&
    typeof credsStore === 'string';
  if (!isRight) throw new TareError('config', `${path} is no file of credentials as Docker has them`, { path });
  return content as AuthFile;
}

/** By which name an entry is written. */
export function keyOf(registry: string): string {
  return registry === 'docker.io' ? DOCKER_KEY : registry;
}

/** Names are written as hosts, as URLs, and with or without the version of the protocol. */
export function entryOf(auths: Readonly<Record<string, AuthEntry>>, registry: string): AuthEntry | undefined {
  const host = (key: string) => key.replace(/^https?:\/\//, '').replace(/\/(?:v1\/?|v2\/?)?$/, '');
  const hosts = registry === 'docker.io' ? ['index.docker.io', 'docker.io', 'registry-1.docker.io'] : [registry];
  if (Object.hasOwn(auths, keyOf(registry))) return auths[keyOf(registry)];
  const key = Object.keys(auths).find((one) => hosts.includes(host(one)));
  return key === undefined ? undefined : auths[key];
}

function credentialsOf(entry: AuthEntry, path: string): Credentials | undefined {
  const { auth, username, password, identitytoken, registrytoken } = entry;
  if (registrytoken) return { kind: 'token', token: registrytoken };
  if (identitytoken) return { kind: 'identity', token: identitytoken };
  if (username !== undefined && password !== undefined) return { kind: 'password', username, password };
  // A helper of another program keeps it, and this entry is only its shadow.
  if (!auth) return undefined;
  const text = Buffer.from(auth, 'base64').toString();
  const colon = text.indexOf(':');
  if (colon < 0) throw new TareError('config', `${path}: an "auth" is not user:password in base64`, { path });
  return { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}
