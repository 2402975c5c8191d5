/** Uploads that are interrupted, several platforms, what refers to what, and several processes at once, with Debian's docker-registry. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadImage } from '../../../runtime/image/image.js';
import { prune } from '../../../runtime/image/prune.js';
import { parseReference } from '../../../runtime/image/reference.js';
import { listReferrers, listTags, pull, push } from '../../../runtime/image/registry/index.js';
import { packageRoot } from '../../../runtime/kernel/places.js';
import { type Descriptor, digestOf, MEDIA } from '../../../runtime/oci/image/index.js';
import { makeImage, makeLayer, putImage, type TestImage } from '../../harness/images.js';
import { startRegistry, type TestRegistry } from '../../harness/registry.js';
import { FakeRegistry, QUICK } from './fake.js';
import { makeStore } from './real.js';

let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry?.stop());

/** Bytes that no compression makes smaller, and that are the same each time. */
function noise(size: number, seed: string): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < size; i++) blocks.push(Buffer.from(digestOf(`${seed}${i}`).slice(7), 'hex'));
  return Buffer.concat(blocks).subarray(0, size);
}

/** Between us and the registry: breaks connections off after so many bytes, as often as it is told to. */
async function cutter(port: number, cuts: number[]): Promise<{ server: Server; host: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    let passed = 0;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    far.pipe(near);
    near.on('data', (chunk: Buffer) => {
      passed += chunk.length;
      far.write(chunk);
      if (cuts[0] === undefined || passed < cuts[0]) return;
      cuts.shift();
      // What has been sent arrives.
      far.end();
      near.destroy();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { server, host: `127.0.0.1:${(server.address() as { port: number }).port}`, close };
}

describe('an upload', () => {
  const image = makeImage([makeLayer([{ path: 'noise', content: noise(400_000, 'upload') }], 'none')]);

  it.each([
    ['in one piece', 64 << 20],
    ['in pieces', 100_000],
  ])('%s goes on after it was broken off twice', async (kind, chunkBytes) => {
    using one = await makeStore();
    const way = await cutter(Number(registry.host.split(':')[1]), [150_000, 120_000]);
    try {
      const name = `${way.host}/cut/${kind.replaceAll(' ', '-')}:1`;
      await putImage(one.store, image, name);
      const retries: unknown[] = [];
      await push(one.store, parseReference(name), {
        ...QUICK,
        limits: { ...QUICK.limits, attempts: 6, pauseMs: 50, chunkBytes },
        onProgress: ({ action, detail }) => action === 'retrying' && retries.push(detail),
      });
      expect(retries.length).toBeGreaterThanOrEqual(1);
      using two = await makeStore();
      await pull(two.store, parseReference(name.replace(way.host, registry.host)), QUICK);
      for (const digest of image.blobs.keys()) expect(two.store.content.has(digest)).toBe(true);
    } finally {
      way.close();
    }
  });

  it('goes where the registry sends it, with its body and without our credentials', async () => {
    await using near = await FakeRegistry.start();
    await using far = await FakeRegistry.start();
    const sessions = '/v2/team/app/blobs/uploads/';
    near.lie = ({ method, path, headers }, response) => {
      if (headers.authorization === undefined) response.writeHead(401, { 'www-authenticate': 'Basic realm="near"' });
      else if (path === sessions) response.writeHead(307, { location: `http://${far.host}${sessions}` });
      else if (method === 'PUT') response.writeHead(201);
      else return false;
      response.end();
      return true;
    };
    far.lie = ({ method, path }, response) => {
      // A store of objects behind it: a location elsewhere at first, and then a place for the bytes.
      if (method === 'POST') response.writeHead(202, { location: '/begun' });
      else if (path.startsWith('/begun')) response.writeHead(308, { location: `${path.replace('/begun', '/bytes')}` });
      else response.writeHead(method === 'PATCH' ? 202 : 201);
      response.end();
      return true;
    };
    using one = await makeStore();
    const name = `${near.host}/team/app:1`;
    await putImage(one.store, image, name);
    await push(one.store, parseReference(name), {
      ...QUICK,
      credentials: { kind: 'password', username: 'ann', password: 'secret' },
    });
    const sizes = [...image.blobs.values()].map((blob) => blob.length).filter((_, i) => i < 2);
    const sent = far.seen.filter(({ path }) => path.startsWith('/bytes?digest='));
    expect(sent.map(({ headers }) => Number(headers['content-length'])).sort()).toEqual(sizes.sort());
    expect(far.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    expect(far.seen.filter(({ method }) => method === 'POST')).toHaveLength(2);
  });

  it('of what is not here as a whole sends nothing', async () => {
    await using fake = await FakeRegistry.start();
    using one = await makeStore();
    const name = `${fake.host}/team/app:1`;
    await putImage(one.store, { ...image, blobs: new Map([...image.blobs].slice(1)) }, name);
    await expect(push(one.store, parseReference(name), QUICK)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/is not whole here: blob sha256:/),
    });
    expect(fake.seen).toEqual([]);
    await expect(push(one.store, parseReference(`${fake.host}/other:1`), QUICK)).rejects.toThrow(/no image/);
    const digest = image.manifestDescriptor.digest;
    await expect(push(one.store, parseReference(`${name}@${digest}`), QUICK)).rejects.toMatchObject({ code: 'usage' });
  });
});

describe('an index', () => {
  const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
  const images = platforms.map((platform) => makeImage([makeLayer([{ path: platform.architecture }])], { platform }));

  it('is pushed with all its platforms, and pulled with one or all', async () => {
    using one = await makeStore();
    const name = `${registry.host}/many/app:1`;
    const reference = parseReference(name);
    for (const image of images) await putImage(one.store, image);
    using lease = one.store.lease();
    const manifests = images.map((image, i) => ({ ...image.manifestDescriptor, platform: platforms[i] }));
    const content = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests }));
    const index = await one.store.content.put(content, MEDIA.ociIndex, lease);
    await one.store.names.set(reference, index);
    const { target } = await push(one.store, reference, { ...QUICK, allPlatforms: true });
    expect(target.digest).toBe(index.digest);

    using two = await makeStore();
    const [, arm] = images as [TestImage, TestImage];
    await pull(two.store, reference, { ...QUICK, platform: platforms[1] });
    expect(loadImage(two.store, reference, platforms[1]).id).toBe(arm.id);
    expect([...two.store.content.list()]).toHaveLength(4);
    // What is not here cannot be pushed.
    const other = parseReference(`${registry.host}/many/other:1`);
    await expect(push(two.store, other, { ...QUICK, allPlatforms: true, source: name })).rejects.toThrow(
      /not here for linux\/amd64: "tare pull --all-platforms"/,
    );
    await push(two.store, other, { ...QUICK, source: name, platform: platforms[1] });
    await pull(two.store, reference, { ...QUICK, allPlatforms: true });
    expect([...two.store.content.list()]).toHaveLength(7);
  });
});

it('what refers to an image is listed by its tag, where the registry keeps no list', async () => {
  using one = await makeStore();
  const image = makeImage([makeLayer([{ path: 'signed' }])]);
  const name = `${registry.host}/signed/app`;
  await putImage(one.store, image, `${name}:1`);
  await push(one.store, parseReference(`${name}:1`), QUICK);
  const signatures: Descriptor[] = [];
  for (const who of ['ann', 'bob']) {
    const manifest = {
      ...image.manifest,
      subject: image.manifestDescriptor,
      annotations: { who },
      artifactType: 'x/sign',
    };
    using lease = one.store.lease();
    const data = Buffer.from(JSON.stringify(manifest));
    const signature = await one.store.content.put(data, MEDIA.ociManifest, lease);
    await one.store.names.set(parseReference(`${name}:${who}`), signature);
    await push(one.store, parseReference(`${name}:${who}`), QUICK);
    signatures.push({ ...signature, artifactType: 'x/sign', annotations: { who } });
  }
  const { digest } = image.manifestDescriptor;
  expect(await listReferrers(parseReference(name), digest, QUICK)).toEqual(signatures);
  expect(await listReferrers(parseReference(name), digest, { ...QUICK, artifactType: 'x/other' })).toEqual([]);
  expect(await listReferrers(parseReference(name), digestOf('unknown'), QUICK)).toEqual([]);
  const tag = digest.replace(':', '-');
  expect((await listTags(parseReference(name), QUICK)).sort()).toEqual(['1', 'ann', 'bob', tag].sort());
});

describe('of several processes', () => {
  const layers = [1, 2, 3, 4].map((i) => makeLayer([{ path: `${i}`, content: noise(300_000, `${i}`) }]));
  const image = makeImage(layers);

  /** The built command line, in a process of its own. */
  function tare(folder: string, ...args: string[]) {
    const child = spawn(process.execPath, [join(packageRoot(), 'dist/bin/tare'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: folder, TARE_ROOT: folder },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal, output }));
    return { child, ended };
  }

  it('that pull one image, each layer is downloaded once', async () => {
    await using fake = await FakeRegistry.start();
    fake.add(image);
    const honest = async (path: string) => {
      // The other gets there meanwhile.
      if (path.includes('/blobs/')) await new Promise((resolve) => setTimeout(resolve, 100));
      return false;
    };
    fake.lie = ({ path }) => honest(path);
    using one = await makeStore();
    const name = `${fake.host}/team/app:1`;
    const both = await Promise.all([0, 1].map(() => tare(one.folder, 'pull', '--plain-http', name).ended));
    for (const { code, output } of both) expect(code, output).toBe(0);
    for (const { output } of both) expect(output).toContain(image.manifestDescriptor.digest);
    expect(fake.blobRequests()).toHaveLength(layers.length + 1);
  });

  const MOMENTS = Number(process.env.TARE_PULL_KILLS ?? 5);
  it(`one that is killed (${MOMENTS} moments) is gone on with by the next, and nothing is left after a prune`, async () => {
    const name = `${registry.host}/killed/app:1`;
    using source = await makeStore();
    await putImage(source.store, image, name);
    await push(source.store, parseReference(name), QUICK);
    using warm = await makeStore();
    const began = performance.now();
    expect((await tare(warm.folder, 'pull', name).ended).code).toBe(0);
    const whole = performance.now() - began;
    let killed = 0;
    for (let i = 0; i < MOMENTS; i++) {
      using one = await makeStore();
      const { child, ended } = tare(one.folder, 'pull', name);
      // Most of its time it starts.
      const timer = setTimeout(() => child.kill('SIGKILL'), whole * (0.3 + (0.7 * (i + Math.random())) / MOMENTS));
      if ((await ended).signal === 'SIGKILL') killed++;
      clearTimeout(timer);
      const again = await tare(one.folder, 'pull', name).ended;
      expect(again.code, again.output).toBe(0);
      expect((await one.store.verify()).problems).toEqual([]);
      expect(loadImage(one.store, name).id).toBe(image.id);
      await one.store.names.delete(parseReference(name));
      await prune(one.store, { all: true, containers: join(one.folder, 'containers') });
      for (const folder of ['blobs/sha256', 'ingest', 'snapshots', 'leases'])
        expect(readdirSync(join(one.store.root, folder)), folder).toEqual([]);
    }
    expect(killed).toBeGreaterThan(0);
  });
});
