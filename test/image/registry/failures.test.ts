/** What a registry, or the way to it, can do wrong: each is a sentence, and nothing half-made is left in the store. */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseReference, type Reference } from '../../../runtime/image/reference.js';
import { tlsFiles } from '../../../runtime/image/registry/certificates.js';
import { connectionFailure } from '../../../runtime/image/registry/failures.js';
import {
  listReferrers,
  listTags,
  type PullOptions,
  pull,
  type RegistryOptions,
} from '../../../runtime/image/registry/index.js';
import { retryAfter } from '../../../runtime/image/registry/retry.js';
import type { ErrorCode } from '../../../runtime/kernel/error.js';
import { digestOf, MEDIA } from '../../../runtime/oci/image/index.js';
import { makeImage, makeLayer, type TestImage } from '../../harness/images.js';
import { startRegistry } from '../../harness/registry.js';
import { FakeRegistry, type Lie, QUICK } from './fake.js';
import { makeStore, type TestStore } from './real.js';

let registry: FakeRegistry;
let one: TestStore;
let image: TestImage;
/** Large enough to come in several pieces. */
const big = makeLayer([{ path: 'big', content: Buffer.alloc(300_000, 'tare ') }], 'none');

beforeEach(async () => {
  registry = await FakeRegistry.start();
  one = await makeStore();
  image = makeImage([big, makeLayer([{ path: 'small', content: 'small' }])]);
  registry.add(image);
});
afterEach(async () => {
  one[Symbol.dispose]();
  await registry[Symbol.asyncDispose]();
});

function pullIt(options: PullOptions = {}, tag = '1') {
  return pull(one.store, parseReference(`${registry.host}/team/app:${tag}`), { ...QUICK, ...options });
}

const BLOB = `/v2/team/app/blobs/${big.descriptor.digest}`;
const MANIFEST = '/v2/team/app/manifests/1';

/** Nobody can find it, and after a collection nothing is left. */
async function expectNothing(): Promise<void> {
  expect(one.store.names.list()).toEqual([]);
  expect(one.store.content.has(big.descriptor.digest)).toBe(false);
  await one.store.collectGarbage({ partials: true });
  expect([...one.store.content.list()]).toEqual([]);
  expect(readdirSync(join(one.store.root, 'ingest'))).toEqual([]);
}

const at =
  (path: string, answer: Lie): Lie =>
  async (request, response) =>
    request.path.startsWith(path) ? (await answer(request, response)) !== false : false;

const status = (code: number, headers: Record<string, string> = {}, body = '') =>
  at(MANIFEST, (_, response) => void response.writeHead(code, headers).end(body));

const denied = JSON.stringify({ errors: [{ code: 'DENIED', message: 'not for you \u001b[31m' }] });

const REFUSED: readonly [string, Lie, ErrorCode, RegExp][] = [
  ['401 without a challenge', status(401), 'permission', /tare login 127/],
  ['403', status(403, {}, denied), 'permission', /forbids it to you.*not for you/],
  ['404', status(404), 'not-found', /has no 127.*team\/app:1/],
  ['429 for long', status(429, { 'retry-after': '9000' }), 'busy', /too many requests.*9000 s/],
  ['500 for good', status(500), 'network', /cannot answer now \(500\)/],
  ['418', status(418), 'protocol', /answered 418/],
  ['a redirect in a circle', status(302, { location: MANIFEST }), 'protocol', /in a circle/],
  ['a redirect to a file', status(302, { location: 'file:///etc/passwd' }), 'protocol', /no web address/],
  ['a redirect to nowhere', status(302), 'protocol', /no URL/],
  [
    'a manifest without end',
    at(MANIFEST, (_, response) => {
      response.writeHead(200, { 'content-type': MEDIA.ociManifest });
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65536, ' ')));
      };
      response.on('drain', more);
      more();
    }),
    'protocol',
    /more than 4194304 bytes/,
  ],
  ['a manifest that is no JSON', status(200, { 'content-type': MEDIA.ociManifest }, '<html>'), 'protocol', /no JSON/],
  [
    'a page in place of a manifest',
    status(200, { 'content-type': 'text/html' }, '<html>'),
    'unsupported',
    /text\/html/,
  ],
  [
    'schema 1',
    status(200, { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws' }, '{"schemaVersion":1}'),
    'unsupported',
    /schema 1.*2017/,
  ],
  [
    'a digest that is not the content’s',
    status(200, { 'content-type': MEDIA.ociManifest, 'docker-content-digest': digestOf('other') }, '{}'),
    'protocol',
    /its digest is sha256:.* was expected/,
  ],
  [
    'other bytes than the digest says',
    at(BLOB, (_, response) => void response.end(Buffer.alloc(big.blob.length, 'x'))),
    'protocol',
    /is refused: its content is/,
  ],
  [
    'a blob of another length',
    at(BLOB, (_, response) => void response.writeHead(200, { 'content-length': 5 }).end('short')),
    'protocol',
    /has 5 bytes, and its descriptor says/,
  ],
  [
    'a blob that goes on and on',
    at(BLOB, (_, response) => {
      response.writeHead(200);
      response.write(big.blob);
      response.end('and more');
    }),
    'protocol',
    /longer than/,
  ],
  [
    'a blob that is always cut off',
    at(BLOB, (_, response) => {
      response.writeHead(200, { 'content-length': big.blob.length });
      response.flushHeaders();
      setTimeout(() => response.destroy(), 10);
    }),
    'network',
    /failed|cut off/,
  ],
  [
    'a blob that is shorter, and says nothing of it',
    at(BLOB, (_, response) => {
      response.write('x');
      response.end();
    }),
    'protocol',
    /cut off: .* sent 1 of its/,
  ],
  [
    'a blob that comes encoded',
    at(BLOB, (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')),
    'protocol',
    /encoded/,
  ],
  ['a blob that is gone', at(BLOB, (_, response) => void response.writeHead(404).end()), 'not-found', /no blob/],
];

const STALLED: readonly [string, Lie, ErrorCode, RegExp][] = [
  ['a manifest that never comes', at(MANIFEST, () => true), 'timeout', /stands still/],
  [
    'a blob that never comes',
    at(BLOB, (_, response) => void response.writeHead(200).flushHeaders()),
    'timeout',
    /stands still/,
  ],
  [
    'a byte now and then',
    at(BLOB, (_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'), 50);
      response.on('close', () => clearInterval(timer));
    }),
    'timeout',
    /stands still/,
  ],
];

it.each([...REFUSED, ...STALLED])('%s', async (name, lie, code, message) => {
  registry.lie = lie;
  const stallMs = STALLED.some(([one]) => one === name) ? 300 : (QUICK.limits?.stallMs as number);
  await expect(pullIt({ limits: { ...QUICK.limits, attempts: 2, stallMs } })).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });
  await expectNothing();
});

describe('what passes is tried again', () => {
  it.each([
    ['503', 503, {}],
    ['429 with Retry-After', 429, { 'retry-after': '0' }],
    ['500', 500, {}],
  ])('%s', async (_, code, headers) => {
    let left = 2;
    registry.lie = at(MANIFEST, (_request, response) => left-- > 0 && void response.writeHead(code, headers).end());
    const reasons: unknown[] = [];
    await pullIt({ onProgress: ({ action, detail }) => action === 'retrying' && reasons.push(detail) });
    expect(reasons).toHaveLength(2);
    expect(reasons[0]).toMatch(code === 429 ? /too many requests/ : /cannot answer now/);
  });

  it('a connection that is reset before it answers', async () => {
    let left = 2;
    registry.lie = at('/v2/team', (_, response) => left-- > 0 && void response.socket?.destroy());
    await pullIt();
  });

  it('a blob that breaks off goes on where it broke off', async () => {
    const sent: number[] = [];
    registry.lie = at(BLOB, ({ headers }, response) => {
      const start = Number(/=(\d+)/.exec(headers.range ?? '')?.[1] ?? 0);
      sent.push(start);
      if (start >= 240_000) return false;
      const size = big.blob.length;
      response.writeHead(start > 0 ? 206 : 200, {
        'content-length': size - start,
        ...(start > 0 && { 'content-range': `bytes ${start}-${size - 1}/${size}` }),
      });
      response.write(big.blob.subarray(start, start + 60_000), () => setTimeout(() => response.destroy(), 20));
    });
    await pullIt();
    // More often than there are attempts: it got further each time.
    expect(sent).toEqual([0, 60_000, 120_000, 180_000, 240_000]);
    expect(one.store.content.read(big.descriptor.digest).equals(big.blob)).toBe(true);
  });

  it.each([
    ['sends all of it again', (response: Parameters<Lie>[1]) => void response.writeHead(200).end(big.blob)],
    ['knows no ranges', (response: Parameters<Lie>[1]) => void response.writeHead(416).end()],
  ])('a blob that breaks off at a registry that %s', async (_, answer) => {
    let isFirst = true;
    registry.lie = at(BLOB, ({ headers }, response) => {
      if (headers.range) return answer(response);
      if (!isFirst) return false;
      isFirst = false;
      response.writeHead(200, { 'content-length': big.blob.length });
      response.write(big.blob.subarray(0, 50_000), () => setTimeout(() => response.destroy(), 20));
    });
    await pullIt();
    expect(one.store.content.read(big.descriptor.digest).equals(big.blob)).toBe(true);
  });

  it('a part of a blob that is not the one asked for is refused', async () => {
    registry.lie = at(BLOB, ({ headers }, response) => {
      if (headers.range)
        return void response.writeHead(206, { 'content-range': `bytes 7-99/${big.blob.length}` }).end('x');
      response.writeHead(200, { 'content-length': big.blob.length });
      response.write(big.blob.subarray(0, 50_000), () => setTimeout(() => response.destroy(), 20));
    });
    await expect(pullIt()).rejects.toThrow(/another part/);
  });

  it('a part from an earlier run that is damaged is thrown away', async () => {
    {
      using lease = one.store.lease();
      await using ingest = await one.store.content.ingest(big.descriptor, lease);
      await ingest?.write(Buffer.alloc(1000, 'wrong'));
      // Disposed of without commit: it stays to be gone on with.
    }
    await pullIt();
    expect(registry.blobRequests(big.descriptor.digest).map(({ headers }) => headers.range)).toEqual([
      'bytes=1000-',
      undefined,
    ]);
    expect(one.store.content.read(big.descriptor.digest).equals(big.blob)).toBe(true);
  });
});

describe('the image', () => {
  it('of another platform: those that there are are listed', async () => {
    const manifests = ['amd64', 'arm64'].map((architecture) => ({
      ...registry.add(makeImage([big], { platform: { os: 'linux', architecture } }), architecture),
      platform: { os: 'linux', architecture },
    }));
    const unknown = { ...manifests[0], platform: { os: 'unknown', architecture: 'unknown' } };
    registry.addManifest('many', { schemaVersion: 2, manifests: [...manifests, unknown] }, MEDIA.ociIndex);
    await expect(pullIt({ platform: { os: 'linux', architecture: 's390x' } }, 'many')).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/not made for linux\/s390x: there is linux\/amd64, linux\/arm64; /),
    });
    await expectNothing();
    await pullIt({ platform: { os: 'linux', architecture: 'arm64' } }, 'many');
    await expect(pullIt({ platform: { os: 'linux', architecture: 'arm64' } })).rejects.toThrow(/there is linux\/amd64/);
  });

  it('with a layer of an unknown media type', async () => {
    const layers = [{ ...big.descriptor, mediaType: 'application/vnd.example.layer' }];
    registry.addManifest('odd', { ...image.manifest, layers }, MEDIA.ociManifest);
    await expect(pullIt({}, 'odd')).rejects.toThrow(/"application\/vnd.example.layer", which is no layer/);
    await expectNothing();
  });

  it('that is none but an artifact', async () => {
    const config = { ...image.manifest.config, mediaType: 'application/vnd.cncf.helm.config.v1+json' };
    registry.addManifest('chart', { ...image.manifest, config }, MEDIA.ociManifest);
    await expect(pullIt({}, 'chart')).rejects.toThrow(/is no image but "application\/vnd.cncf.helm/);
  });

  it('with a layer that lies elsewhere', async () => {
    const mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar';
    const layers = [{ ...big.descriptor, mediaType, urls: ['https://elsewhere.example/layer'] }];
    registry.addManifest('foreign', { ...image.manifest, layers }, MEDIA.ociManifest);
    await expect(pullIt({}, 'foreign')).rejects.toThrow(/at elsewhere.example: --foreign-layers/);
    const local = [{ ...big.descriptor, mediaType, urls: [`http://${registry.host}/layer`] }];
    registry.addManifest('local', { ...image.manifest, layers: local }, MEDIA.ociManifest);
    await expect(pullIt({ foreignLayers: true }, 'local')).rejects.toThrow(/no place that is reached by https/);
  });

  it('by a digest that its content has not', async () => {
    const digest = digestOf('something else');
    registry.manifests.set(digest, { data: Buffer.from('{}'), mediaType: MEDIA.ociManifest });
    const reference = parseReference(`${registry.host}/team/app@${digest}`);
    await expect(pull(one.store, reference, QUICK)).rejects.toThrow(/its digest is sha256:.*, and sha256:/);
  });

  it('by its digest', async () => {
    const reference = parseReference(`${registry.host}/team/app@${image.manifestDescriptor.digest}`);
    await pull(one.store, reference, QUICK);
    expect(one.store.names.get(reference)?.digest).toBe(image.manifestDescriptor.digest);
  });
});

it('three layers at a time, each once', async () => {
  const layers = Array.from({ length: 8 }, (_, i) => makeLayer([{ path: `${i}` }]));
  registry.add(makeImage([...layers, ...layers.slice(0, 2)]), 'many');
  let [now, most] = [0, 0];
  registry.lie = at('/v2/team/app/blobs/', async () => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 30));
    now--;
    return false;
  });
  await pullIt({}, 'many');
  expect(most).toBe(3);
  expect(registry.blobRequests()).toHaveLength(9);
});

it('a mirror is asked first, and the registry where it fails', async () => {
  await using mirror = await FakeRegistry.start();
  mirror.add(image);
  await pullIt({ mirrors: [`http://${mirror.host}`] });
  expect(registry.seen).toEqual([]);
  expect(mirror.seen.length).toBeGreaterThan(0);
  mirror.manifests.clear();
  registry.add(makeImage([big]), '2');
  await pullIt({ mirrors: [`http://${mirror.host}`] }, '2');
  expect(registry.seen.length).toBeGreaterThan(0);
});

describe('the way to it', () => {
  it('nothing listens there', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    await expect(pull(one.store, parseReference(`127.0.0.1:${port}/a`), QUICK)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringMatching(/connection was refused/),
    });
  });

  it('there is no such host', async () => {
    await expect(pull(one.store, parseReference('nowhere.invalid/a'), QUICK)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringMatching(/nowhere.invalid/),
    });
  });

  it('its certificate is not trusted: the sentence says where its CA belongs; that is no reason to do without TLS', async () => {
    await using real = await startRegistry({ tls: true });
    await expect(pull(one.store, parseReference(`${real.host}/a`), QUICK)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining(`/etc/docker/certs.d/${real.host}/ca.crt, or name its folder by --cert-dir`),
    });
    // Nothing was asked by plain HTTP.
    expect(real.log()).not.toContain('HTTP/1.1"');
  });

  it.each([
    ['ERR_TLS_CERT_ALTNAME_INVALID', /^the certificate of r\.example is for other names \(why\): is the name /],
    ['CERT_HAS_EXPIRED', /^the certificate of r\.example does not hold now \(why\): it must be renewed there/],
    [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      /^the certificate of r\.example is not trusted \(why\): put the certificate of its CA/,
    ],
  ])('its certificate is refused as %s', (code, sentence) => {
    const cause = Object.assign(new Error('why'), { code });
    expect(connectionFailure(cause, new URL('https://r.example'))).toMatchObject({
      code: 'network',
      message: expect.stringMatching(sentence),
    });
  });

  it('the folder of its certificates has none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tare-certificates-'));
    try {
      const look = () => tlsFiles('r.example', folder, {});
      expect(look).toThrow(
        expect.objectContaining({ code: 'not-found', message: expect.stringMatching(/no certificate/) }),
      );
      writeFileSync(join(folder, 'ca.crt'), Buffer.from([0x30, 0x82]));
      expect(look).toThrow(
        expect.objectContaining({ code: 'config', message: expect.stringMatching(/ca\.crt holds no/) }),
      );
      writeFileSync(join(folder, 'ca.crt'), '-----BEGIN CERTIFICATE-----\n');
      expect(look().ca.at(-1)).toBe('-----BEGIN CERTIFICATE-----\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('it speaks no TLS, and lies beyond the loopback', () => {
    const cause = Object.assign(new Error('write EPROTO …:ssl3_get_record:wrong version number:'), { code: 'EPROTO' });
    expect(connectionFailure(cause, new URL('https://registry.example')).message).toBe(
      'registry.example speaks plain HTTP and not TLS: if it is to be used without encryption, say so by --plain-http',
    );
  });

  it('it takes the connection, and says nothing', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const limits = { ...QUICK.limits, connectMs: 200, attempts: 1 };
    try {
      await expect(
        pull(one.store, parseReference(`127.0.0.1:${port}/a`), { ...QUICK, limits, plainHttp: true }),
      ).rejects.toMatchObject({ code: 'timeout' });
    } finally {
      server.close();
      connect(port, '127.0.0.1')
        .on('error', () => undefined)
        .destroy();
    }
  });

  it('the proxy takes the connection, and says nothing: it is let go of', async () => {
    const server = createServer();
    const closed = new Promise<void>((resolve) => {
      server.once('connection', (socket) => {
        socket.on('error', () => undefined);
        socket.resume().once('close', () => resolve());
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const env = { ...QUICK.env, HTTPS_PROXY: `http://127.0.0.1:${port}` };
    const limits = { ...QUICK.limits, connectMs: 200, attempts: 1 };
    try {
      await expect(
        pull(one.store, parseReference('registry.example/a'), { ...QUICK, env, limits }),
      ).rejects.toMatchObject({ code: 'timeout' });
      await closed;
    } finally {
      server.close();
    }
  });

  it.each([
    ['tags', 'tags/list', (page: number) => ({ name: 'team/app', tags: [`${page}`.padEnd(900_000, 'x')] }), listTags],
    [
      'what refers to an image',
      'referrers/',
      (page: number) => ({
        schemaVersion: 2,
        mediaType: MEDIA.ociIndex,
        manifests: [],
        x: `${page}`.padEnd(4_000_000),
      }),
      (name: Reference, options: RegistryOptions) => listReferrers(name, digestOf('x'), options),
    ],
  ])('it lists %s without end: as much as stays in memory is bounded', async (_, path, page, list) => {
    let count = 0;
    registry.lie = at(`/v2/team/app/${path}`, (_request, response) => {
      const link = `</v2/team/app/${path}?page=${count}>; rel="next"`;
      response.writeHead(200, { 'content-type': MEDIA.ociIndex, link }).end(JSON.stringify(page(count++)));
    });
    const failure = { code: 'protocol', message: expect.stringContaining('without end') };
    await expect(list(parseReference(`${registry.host}/team/app`), QUICK)).rejects.toMatchObject(failure);
    expect(count).toBeLessThan(50);
  });

  it.each([
    ['a byte of its header at a time', 'HTTP/1.1 200 OK\r\nX-Drip: ', 'x'],
    ['one early hint after the other', '', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
  ])('it answers without end: %s', async (_, start, again) => {
    const timers = new Set<NodeJS.Timeout>();
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(start);
      timers.add(setInterval(() => socket.write(again), 20));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const limits = { ...QUICK.limits, connectMs: 300, documentMs: 300, attempts: 1 };
    try {
      await expect(
        pull(one.store, parseReference(`127.0.0.1:${port}/a`), { ...QUICK, limits, plainHttp: true }),
      ).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('no whole header came') });
    } finally {
      for (const timer of timers) clearInterval(timer);
      server.close();
    }
  });

  it('a signal ends it, and what has come is gone on with', async () => {
    const controller = new AbortController();
    registry.lie = at(BLOB, ({ headers }, response) => {
      if (headers.range) return false;
      response.writeHead(200, { 'content-length': big.blob.length });
      response.write(big.blob.subarray(0, 100_000), () => setTimeout(() => controller.abort(), 50));
    });
    await expect(pullIt({ signal: controller.signal })).rejects.toThrow(/aborted/);
    await pullIt();
    const ranges = registry.blobRequests(big.descriptor.digest).map(({ headers }) => headers.range);
    expect(ranges).toEqual([undefined, 'bytes=100000-']);
  });
});

it.each([
  ['17', 17_000],
  ['Thu, 01 Jan 1970 00:01:00 GMT', 59_000],
  ['soon', undefined],
  [undefined, undefined],
])('Retry-After: %s', (header, expected) => {
  expect(retryAfter(header, 1000)).toBe(expected);
});
