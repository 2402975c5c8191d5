/** Who we are: challenges, tokens and how long they are good, and where credentials are kept and come from. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseReference } from '../../../runtime/image/reference.js';
import { parseChallenges } from '../../../runtime/image/registry/challenge.js';
import { findCredentials } from '../../../runtime/image/registry/credentials.js';
import { login, logout, type PullOptions, pull } from '../../../runtime/image/registry/index.js';
import { proxyFor } from '../../../runtime/image/registry/proxy.js';
import { makeImage, makeLayer } from '../../harness/images.js';
import { FakeRegistry, QUICK } from './fake.js';
import { makeStore, type TestStore } from './real.js';

describe('challenges', () => {
  it.each([
    ['Basic realm="a, b"', [['basic', { realm: 'a, b' }]]],
    [
      'Bearer realm="https://auth.example/token",service="a",scope="repository:b:pull,push"',
      [['bearer', { realm: 'https://auth.example/token', service: 'a', scope: 'repository:b:pull,push' }]],
    ],
    [
      'Negotiate, Basic realm=x , Bearer realm="y\\"z"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
        ['bearer', { realm: 'y"z' }],
      ],
    ],
    ['', []],
    ['"""', []],
    ['=', []],
  ])('%s', (header, expected) => {
    expect(parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])).toEqual(
      expected,
    );
  });

  it('of any length are read in bounded time', () => {
    expect(parseChallenges('Bearer '.repeat(100_000)).length).toBeLessThan(2000);
    expect(parseChallenges(`Bearer realm="${'\\'.repeat(100_000)}`).length).toBeLessThan(5);
  });
});

describe('tokens', () => {
  let registry: FakeRegistry;
  let one: TestStore;
  let given = 0;
  let seconds: number | undefined;
  let revoked: string[] = [];

  beforeEach(async () => {
    registry = await FakeRegistry.start();
    one = await makeStore();
    registry.add(makeImage([1, 2, 3, 4].map((i) => makeLayer([{ path: `${i}` }]))));
    [given, seconds, revoked] = [0, 300, []];
    registry.lie = ({ path, headers }, response) => {
      if (path.startsWith('/token')) {
        response.end(JSON.stringify({ access_token: `token-${++given}`, expires_in: seconds }));
        return true;
      }
      if (path === '/v2/') return false;
      if (/^Bearer token-/.test(headers.authorization ?? '') && !revoked.includes(headers.authorization ?? ''))
        return false;
      const challenge = `Bearer realm="http://${registry.host}/token",service="test"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
      return true;
    };
  });
  afterEach(async () => {
    one[Symbol.dispose]();
    await registry[Symbol.asyncDispose]();
  });

  const pullIt = (options: PullOptions = {}) =>
    pull(one.store, parseReference(`${registry.host}/team/app:1`), { ...QUICK, ...options });
  const asked = () => registry.seen.filter(({ path }) => path.startsWith('/token'));

  it('one is asked for, and used for all that follows', async () => {
    await pullIt();
    expect(asked()).toHaveLength(1);
    expect(new URL(asked()[0]?.path ?? '', 'http://x').searchParams.getAll('scope')).toEqual([
      'repository:team/app:pull',
    ]);
    expect(asked()[0]?.headers.authorization).toBeUndefined();
  });

  it('one that is not good any more is asked for again', async () => {
    let isFirst = true;
    const honest = registry.lie;
    registry.lie = (request, response) => {
      if (isFirst && request.path.includes('/blobs/')) {
        isFirst = false;
        revoked = ['Bearer token-1'];
      }
      return honest(request, response);
    };
    await pullIt();
    expect(asked().length).toBeGreaterThanOrEqual(2);
  });

  it('one that is never good is not asked for without end', async () => {
    registry.lie = ({ path }, response) => {
      if (path === '/v2/') return false;
      if (path.startsWith('/token')) response.end(JSON.stringify({ token: 'x' }));
      else response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${registry.host}/token"` }).end();
      return true;
    };
    await expect(pullIt()).rejects.toMatchObject({ code: 'permission' });
    expect(asked().length).toBeLessThan(4);
  });

  it('an identity token is sent by POST, and a password to the token server alone', async () => {
    await pullIt({ credentials: { kind: 'identity', token: 'refresh me' } });
    expect(asked()[0]?.method).toBe('POST');
    registry.seen.length = 0;
    using two = await makeStore();
    const credentials = { kind: 'password', username: 'ann', password: 'secret' } as const;
    await pull(two.store, parseReference(`${registry.host}/team/app:1`), { ...QUICK, credentials });
    const basic = `Basic ${Buffer.from('ann:secret').toString('base64')}`;
    expect(registry.seen.filter(({ headers }) => headers.authorization === basic)).toEqual(asked());
  });

  it.each([
    ['that would end the header', 'a\r\nx: y'],
    ['that is none', 7],
    ['that is empty', ''],
  ])('one %s is refused', async (_, token) => {
    const honest = registry.lie;
    registry.lie = (request, response) => {
      if (!request.path.startsWith('/token')) return honest(request, response);
      response.end(JSON.stringify({ token }));
      return true;
    };
    await expect(pullIt()).rejects.toThrow(/no token that can be used/);
  });
});

describe('credentials', () => {
  let home: string;
  let env: NodeJS.ProcessEnv;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'tare-credentials-'));
    env = { HOME: home, PATH: `${home}:${process.env.PATH}` };
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  function write(path: string, content: unknown): string {
    mkdirSync(join(home, path, '..'), { recursive: true });
    writeFileSync(join(home, path), typeof content === 'string' ? content : JSON.stringify(content));
    return join(home, path);
  }
  const auth = (text: string) => Buffer.from(text).toString('base64');
  const helper = (name: string, script: string) => {
    write(`docker-credential-${name}`, `#!/bin/sh\n${script}\n`);
    chmodSync(join(home, `docker-credential-${name}`), 0o755);
  };

  it('are found in Docker’s file, by the names that people write', async () => {
    write('.docker/config.json', {
      auths: {
        'https://index.docker.io/v1/': { auth: auth('ann:with:colons') },
        'https://one.example': { auth: auth('bob:1') },
        'two.example:5000': { identitytoken: 'i', auth: auth('carl:') },
        'three.example': { registrytoken: 'r' },
        'four.example': {},
      },
    });
    const get = (name: string) => findCredentials(name, env);
    expect(await get('docker.io')).toEqual({ kind: 'password', username: 'ann', password: 'with:colons' });
    expect(await get('one.example')).toMatchObject({ username: 'bob' });
    expect(await get('two.example:5000')).toEqual({ kind: 'identity', token: 'i' });
    expect(await get('three.example')).toEqual({ kind: 'token', token: 'r' });
    for (const name of ['four.example', 'two.example', 'example', '__proto__']) expect(await get(name)).toBeUndefined();
  });

  it('are found in the file of containers, and in $REGISTRY_AUTH_FILE before all', async () => {
    write('.config/containers/auth.json', { auths: { 'a.example': { auth: auth('ann:1') } } });
    expect(await findCredentials('a.example', env)).toMatchObject({ username: 'ann' });
    const path = write('other.json', { auths: { 'a.example': { auth: auth('bob:1') } } });
    expect(await findCredentials('a.example', { ...env, REGISTRY_AUTH_FILE: path })).toMatchObject({ username: 'bob' });
  });

  it('come from helpers', async () => {
    write('.docker/config.json', { credsStore: 'all', credHelpers: { 'a.example': 'one' } });
    helper('one', 'read server; echo "{\\"Username\\":\\"ann\\",\\"Secret\\":\\"$1 $server\\"}"');
    helper('all', 'echo "credentials not found in native keychain"; exit 1');
    expect(await findCredentials('a.example', env)).toEqual({
      kind: 'password',
      username: 'ann',
      password: 'get a.example',
    });
    expect(await findCredentials('b.example', env)).toBeUndefined();
    helper('all', 'echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"t\\"}"');
    expect(await findCredentials('b.example', env)).toEqual({ kind: 'identity', token: 't' });
  });

  it.each([
    ['is not installed', undefined, /docker-credential-all is not installed/],
    ['fails', 'echo broken; exit 3', /get failed: broken/],
    ['says nothing', 'exit 0', /something else than JSON/],
    ['says too much', 'yes', /said too much/],
  ])('a helper that %s is an error', async (_, script, message) => {
    write('.docker/config.json', { credsStore: 'all' });
    if (script !== undefined) helper('all', script);
    await expect(findCredentials('a.example', env)).rejects.toThrow(message);
  });

  it.each([
    ['no JSON', '{'],
    ['a list', []],
    ['other types', { auths: { a: 7 } }],
  ])('a file that is %s is an error with its path', async (_, content) => {
    const path = write('.docker/config.json', content);
    await expect(findCredentials('a.example', env)).rejects.toMatchObject({ code: 'config', path });
  });

  it('login with a wrong password says so, and keeps nothing', async () => {
    await using registry = await FakeRegistry.start();
    registry.lie = (_, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      return true;
    };
    await expect(login(registry.host, { username: 'ann', password: 'other' }, { env })).rejects.toMatchObject({
      code: 'permission',
      message: expect.stringContaining(`${registry.host} does not accept this user name and password`),
    });
    expect(existsSync(join(home, '.docker'))).toBe(false);
  });

  it('login keeps what else is in the file, follows a link, and uses the helper that is named', async () => {
    await using registry = await FakeRegistry.start();
    const target = write('dotfiles/docker.json', {
      detachKeys: 'ctrl-a',
      auths: { 'b.example': { auth: auth('x:y') } },
    });
    mkdirSync(join(home, '.docker'));
    symlinkSync(target, join(home, '.docker/config.json'));
    const account = { username: 'ann', password: 'secret' };
    await login(registry.host, account, { env });
    expect(JSON.parse(readFileSync(target, 'utf8'))).toEqual({
      detachKeys: 'ctrl-a',
      auths: { 'b.example': { auth: auth('x:y') }, [registry.host]: { auth: auth('ann:secret') } },
    });
    expect(await logout(registry.host, env)).toHaveLength(1);
    expect(Object.keys(JSON.parse(readFileSync(target, 'utf8')).auths)).toEqual(['b.example']);
    expect(await logout(registry.host, env)).toEqual([]);

    writeFileSync(target, JSON.stringify({ credsStore: 'all' }));
    helper('all', `cat > ${home}/$1`);
    expect(await login(registry.host, account, { env })).toEqual({ place: 'docker-credential-all', isPlain: false });
    expect(JSON.parse(readFileSync(join(home, 'store'), 'utf8'))).toEqual({
      ServerURL: registry.host,
      Username: 'ann',
      Secret: 'secret',
    });
    await logout(registry.host, env);
    expect(readFileSync(join(home, 'erase'), 'utf8')).toBe(registry.host);
  });
});

it.each([
  ['https://a.example/', { HTTPS_PROXY: 'http://proxy:3128' }, 'proxy:3128'],
  ['https://a.example/', { https_proxy: 'proxy:3128' }, 'proxy:3128'],
  ['http://a.example/', { HTTPS_PROXY: 'http://proxy:3128' }, undefined],
  ['https://a.example/', { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: 'b.example, .example' }, undefined],
  ['https://a.example:5000/', { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: 'a.example:5001' }, 'proxy:3128'],
  ['https://127.0.0.1:5000/', { HTTPS_PROXY: 'http://proxy:3128' }, undefined],
  ['https://a.example/', { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: '*' }, undefined],
])('the proxy for %s with %o', (url, env, host) => {
  expect(proxyFor(new URL(url), env)?.host).toBe(host);
});
