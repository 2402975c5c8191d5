/** `tare pull`, `push`, `login` and `logout` as people use them, with Debian's docker-registry. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { formatBytes } from '../../runtime/cli/progress.js';
import { parseReference } from '../../runtime/image/reference.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { digestOf, MEDIA } from '../../runtime/oci/image/index.js';
import { makeImage, makeLayer, putImage } from '../harness/images.js';
import { startRegistry, type TestRegistry } from '../harness/registry.js';
import { makeStore, type TestStore } from '../image/registry/real.js';

const TARE = join(packageRoot(), 'dist/bin/tare');
let registry: TestRegistry;
let one: TestStore;
let name: string;
const image = makeImage([
  makeLayer([{ path: 'hello', content: 'hello\n' }]),
  makeLayer(
    [
      {
        path: 'large',
        content: Buffer.concat(Array.from({ length: 40_000 }, (_, i) => Buffer.from(digestOf(`${i}`)))),
      },
    ],
    'none',
  ),
]);

beforeAll(async () => {
  registry = await startRegistry({ htpasswd: true });
  name = `${registry.host}/team/app:1`;
});
afterAll(() => registry?.stop());
beforeEach(async () => {
  one?.[Symbol.dispose]();
  one = await makeStore();
});
afterAll(() => one?.[Symbol.dispose]());

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(program: string, args: readonly string[], input = ''): Promise<Ran> {
  const env = { PATH: process.env.PATH, HOME: one.folder, TARE_ROOT: one.folder, TERM: 'vt100' };
  const child = spawn(program, args, { stdio: 'pipe', env });
  let [stdout, stderr] = ['', ''];
  let isTyped = false;
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk;
    // Typed when it is asked for.
    if (!isTyped && stdout.includes('password: ')) isTyped = child.stdin.write(`${registry.password}\r`);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  if (program === process.execPath || program === 'unshare') child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

const tare = (args: readonly string[], input?: string) => run(process.execPath, [TARE, ...args], input);

it('waits for a password, also where somebody else has made the pipe non-blocking', async () => {
  // dd(1) sets the flag of the open pipe, which is that of the next program as well. fcntl(2)
  const late = `(sleep 0.5; printf '%s' "$1") | (dd iflag=nonblock count=0 status=none; shift; exec "$@")`;
  const login = [process.execPath, TARE, 'login', '--username', registry.user, '--password-stdin', registry.host];
  const ran = await run('sh', ['-c', late, 'sh', registry.password, ...login]);
  expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: `logged in to ${registry.host}\n` });
});

it('logs in, pushes, pulls and logs out', async () => {
  await putImage(one.store, image, name);
  const refused = await tare(['push', name]);
  expect(refused).toMatchObject({
    code: 125,
    stdout: '',
    stderr: expect.stringContaining(`"tare login ${registry.host}"`),
  });

  const login = ['login', '--username', registry.user, '--password-stdin', registry.host];
  const wrong = await tare(login, 'wrong\n');
  expect(wrong).toMatchObject({ code: 125, stderr: expect.stringContaining('does not accept this user name') });
  expect(existsSync(join(one.folder, '.docker'))).toBe(false);
  const right = await tare(login, `${registry.password}\n`);
  expect(right).toMatchObject({ code: 0, stdout: `logged in to ${registry.host}\n` });
  expect(right.stderr).toContain('lies unencrypted in');

  const pushed = await tare(['push', name]);
  expect(pushed.code, pushed.stderr).toBe(0);
  expect(pushed.stdout).toBe(`${name} has been pushed\n${image.manifestDescriptor.digest}\n`);
  expect(pushed.stderr).toMatch(/^[0-9a-f]{12}: uploading/m);

  expect((await tare(['rmi', name])).code).toBe(0);
  const pulled = await tare(['pull', name]);
  expect(pulled.code, pulled.stderr).toBe(0);
  expect(pulled.stdout).toBe(`${name} has been pulled\n${image.manifestDescriptor.digest}\n`);
  expect(pulled.stderr).toMatch(/^[0-9a-f]{12}: downloading/m);
  expect((await tare(['pull', '-q', name])).stdout).toBe(`${image.manifestDescriptor.digest}\n`);

  expect((await tare(['logout', registry.host])).stdout).toBe(
    `removed from ${join(one.folder, '.docker/config.json')}\n`,
  );
  expect(await tare(['pull', name])).toMatchObject({
    code: 125,
    stderr: expect.stringContaining('wants to know who asks'),
  });
});

it('lists what refers to an image, by its tag or digest', async () => {
  await putImage(one.store, image, name);
  const login = ['login', '--username', registry.user, '--password-stdin', registry.host];
  expect((await tare(login, registry.password)).code).toBe(0);
  expect((await tare(['image', 'push', '-q', name])).code).toBe(0);
  const none = 'ARTIFACT TYPE  SIZE  DIGEST\n';
  expect(await tare(['image', 'referrers', name])).toEqual({ code: 0, stdout: none, stderr: '' });

  const { manifestDescriptor: subject, manifest } = image;
  const bill = { ...manifest, subject, artifactType: 'application/spdx+json' };
  const data = Buffer.from(JSON.stringify(bill));
  using lease = one.store.lease();
  const { digest } = await one.store.content.put(data, MEDIA.ociManifest, lease);
  const named = `${registry.host}/team/app:bill`;
  await one.store.names.set(parseReference(named), { mediaType: MEDIA.ociManifest, digest, size: data.length });
  expect((await tare(['push', '-q', named])).code).toBe(0);

  const line = `application/spdx+json  ${formatBytes(data.length)}  ${digest}\n`;
  for (const asked of [name, `${registry.host}/team/app@${subject.digest}`])
    expect((await tare(['image', 'referrers', asked])).stdout.split('\n').slice(1).join('\n')).toBe(line);
  const other = ['--artifact-type', 'application/other', name];
  expect((await tare(['image', 'referrers', ...other])).stdout).toBe(none);
  const { stdout } = await tare(['image', 'referrers', '--json', name]);
  expect(JSON.parse(stdout)).toEqual({
    subject: subject.digest,
    referrers: [{ mediaType: MEDIA.ociManifest, digest, size: data.length, artifactType: bill.artifactType }],
  });
});

it('asks for the password at a terminal, and does not show it', async () => {
  const command = `'${process.execPath}' '${TARE}' login --username ${registry.user} ${registry.host}`;
  const { code, stdout } = await run('script', ['-qec', command, '/dev/null']);
  expect(code, stdout).toBe(0);
  expect(stdout).toContain('password: ');
  expect(stdout).not.toContain('secret');
  const file = JSON.parse(readFileSync(join(one.folder, '.docker/config.json'), 'utf8'));
  expect(Buffer.from(file.auths[registry.host].auth, 'base64').toString()).toBe(
    `${registry.user}:${registry.password}`,
  );
});

it.each([
  [['login'], 'standard input is no terminal'],
  [['login', '--password-stdin'], 'needs --username'],
  [['login', '-u', 'ann', '-p', 'secret', 'r.example'], 'use --password-stdin'],
  [['login', 'a/b'], 'is no registry'],
  [['login', '-u', 'a', '--password-stdin', '127.0.0.1:99999'], 'is no name of an image'],
  [['pull', 'UPPER'], 'must be lower case'],
  [['pull', '--platform', 'a/b', '--all-platforms', 'debian'], 'cannot be used together'],
  [['pull', '--platform', '/', 'debian'], 'is no platform'],
  [['push', 'nothing.example/here:1'], 'there is no image'],
  [['image', 'referrers', 'UPPER'], 'must be lower case'],
  [['pull', '--cert-dir', '/nonexistent', 'nothing.example/here'], 'folder of certificates'],
  [['pull', '--mirror', 'ftp://x', 'debian'], 'is no mirror'],
])('%j is refused in one sentence', async (args, message) => {
  const { code, stdout, stderr } = await tare(args);
  expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

it('ends with 128+n when a signal comes, and says what is kept', async () => {
  // It takes what it is asked, and never answers.
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const env = { PATH: process.env.PATH, HOME: one.folder, TARE_ROOT: one.folder };
  const pull = spawn(process.execPath, [TARE, 'pull', `127.0.0.1:${port}/app`], { stdio: 'pipe', env });
  let stderr = '';
  pull.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  try {
    await once(silent, 'connection');
    pull.kill('SIGINT');
    expect(await once(pull, 'close')).toEqual([130, null]);
    expect(stderr).toContain('the next pull goes on with it');
  } finally {
    pull.kill('SIGKILL');
    silent.close();
  }
});

it('says that the disk is full, and leaves it as it was', async () => {
  await putImage(one.store, image, name);
  const account = ['--username', registry.user, '--password-stdin', registry.host];
  expect((await tare(['login', ...account], registry.password)).code).toBe(0);
  expect((await tare(['push', name])).code).toBe(0);
  // A disk of its own, in a mount namespace that goes with the command.
  const small = `${one.folder}/images`;
  const script = `mount -t tmpfs -o size=1m,mode=700 small '${small}' || exit 99
    '${process.execPath}' '${TARE}' pull '${name}'; code=$?
    find '${small}/blobs' '${small}/ingest' '${small}/snapshots' -type f -size +64k; exit $code`;
  const { code, stdout, stderr } = await run('unshare', ['--mount', 'sh', '-c', script]);
  expect({ code, stdout }, stderr).toEqual({ code: 125, stdout: '' });
  expect(stderr).toMatch(/no space left on its disk/);
});
