/**
 * Logging in and out: credentials are tried at the registry before they are kept, in the file where Docker and others look for them too, or with
 * the helper that it names.
 * https://docs.docker.com/reference/cli/docker/login/
 */
import { existsSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { TareError } from '../../kernel/error.js';
import { makeFolders, writeFileAtomic } from '../../kernel/files.js';
import { RegistryClient } from './client.js';
import { eraseByHelper, storeByHelper } from './credential-helper.js';
import {
  type AuthEntry,
  type AuthFile,
  authFiles,
  type Credentials,
  entryOf,
  keyOf,
  readAuthFile,
} from './credentials.js';
import { endpointOf } from './endpoint.js';
import { LOGIN } from './failures.js';
import type { RegistryOptions } from './options.js';

export interface Account {
  readonly username: string;
  readonly password: string;
}

/** Where credentials are kept now: a file, or a helper. */
export interface KeptAt {
  readonly place: string;
  /** They lie in a file that says them to whoever can read it. */
  readonly isPlain: boolean;
}

/** @throws TareError `permission` when the registry does not accept them; nothing is changed then */
export async function login(registry: string, account: Account, options: RegistryOptions = {}): Promise<KeptAt> {
  const { env = process.env } = options;
  const credentials: Credentials = { kind: 'password', ...account };
  using client = await RegistryClient.connect(registry, endpointOf(registry, options), {
    ...options,
    credentials,
    wantsRefreshToken: true,
  });
  const answer = await client.ask({
    method: 'GET',
    to: '/v2/',
    access: {},
    expect: [200],
    what: LOGIN,
    signal: options.signal,
  });
  answer.discard();
  const { refreshToken } = client.authorizer;
  return keep(registry, account, refreshToken, env);
}

/** @returns where credentials were found and removed */
export async function logout(registry: string, env: NodeJS.ProcessEnv = process.env): Promise<string[]> {
  const removed: string[] = [];
  for (const path of authFiles(env)) {
    const file = readAuthFile(path);
    if (!file) continue;
    const helper = helperOf(file, registry);
    if (helper && (await eraseByHelper(helper, keyOf(registry), env))) removed.push(`docker-credential-${helper}`);
    const { auths = {} } = file;
    const entry = entryOf(auths, registry);
    const keys = Object.keys(auths).filter((key) => auths[key] === entry);
    if (keys.length === 0) continue;
    for (const key of keys) delete auths[key];
    write(path, { ...file, auths });
    removed.push(path);
  }
  return removed;
}

async function keep(
  registry: string,
  { username, password }: Account,
  refreshToken: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<KeptAt> {
  const [path] = authFiles(env);
  const file = readAuthFile(path) ?? {};
  const helper = helperOf(file, registry);
  const key = keyOf(registry);
  if (helper) {
    const secret = refreshToken ?? password;
    await storeByHelper(helper, key, { username: refreshToken === undefined ? username : '<token>', secret }, env);
    return { place: `docker-credential-${helper}`, isPlain: false };
  }
  if (username.includes(':'))
    throw new TareError('usage', 'a user name with a colon cannot be kept: the file writes user:password');
  const auth = Buffer.from(`${username}:${refreshToken === undefined ? password : ''}`).toString('base64');
  const entry: AuthEntry = { auth, ...(refreshToken !== undefined && { identitytoken: refreshToken }) };
  write(path, { ...file, auths: { ...file.auths, [key]: entry } });
  return { place: path, isPlain: true };
}

function helperOf({ credHelpers, credsStore }: AuthFile, registry: string): string | undefined {
  return credHelpers?.[registry] ?? credHelpers?.[keyOf(registry)] ?? (credsStore || undefined);
}

/** 0600, and where a link to it leads: people keep it elsewhere. */
function write(path: string, file: AuthFile): void {
  makeFolders(dirname(path));
  const target = existsSync(path) ? realpathSync(path) : path;
  writeFileAtomic(target, `${JSON.stringify(file, null, 2)}\n`, { durable: true });
}
