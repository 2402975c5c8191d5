/** The commands about images that are in the store already, as people and scripts use them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chainIdsOf } from '../../runtime/image/snapshot/chain.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import { type Digest, digestOf } from '../../runtime/oci/image/index.js';
import { makeImage, makeLayer, putImage, type TestImage } from '../harness/images.js';
import { makeWorld, type World } from '../harness/world.js';

let world: World;
let store: ImageStore;
let old: TestImage;
let app: TestImage;

/** `app:1` is an image, `app` has been two, one after the other. */
beforeEach(async () => {
  world = await makeWorld('images');
  store = await ImageStore.open(join(world.folder, 'root/images'));
  const config = {
    Env: ['A=b'],
    Cmd: ['sh', '-c', 'echo "x"'],
    Labels: { evil: 'a\x1b[31mred\nline' },
    ExposedPorts: { '80/tcp': {} },
  };
  old = makeImage([makeLayer([{ path: 'file', content: 'old' }])], { more: { created: '2020-01-01T00:00:00Z' } });
  app = makeImage([makeLayer([{ path: 'file', content: 'app' }])], { config });
  await putImage(store, old, 'app');
  await putImage(store, app, 'app');
  await putImage(store, app, 'localhost:5000/team/app:1');
});

afterEach(async () => {
  store.close();
  await world.close();
});

const tare = async (...args: string[]) => world.tare(args);
const said = async (...args: string[]) => {
  const { status, stdout, stderr } = await tare(...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
};
const short = ({ id }: TestImage) => id.slice(7, 19);

describe('tare images', () => {
  it('lists names, and images that have lost theirs', async () => {
    const lines = (await said('images'))
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(lines[0]).toEqual(['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE']);
    expect(lines.slice(1).map(([name, tag, id]) => [name, tag, id])).toEqual([
      ['app', 'latest', short(app)],
      ['localhost:5000/team/app', '1', short(app)],
      ['<none>', '<none>', short(old)],
    ]);
    expect(lines[3]?.[3]).toMatch(/^\d+ years ago$/);
  });

  it('has ids and digests for scripts', async () => {
    for (const options of [['-q'], ['-aq']])
      expect(await said('images', ...options)).toBe(`${short(app)}\n${short(old)}\n`);
    expect(await said('images', '-q', '--no-trunc', 'app')).toBe(`${app.id}\n`);
    expect(await said('images', '--digests')).toContain(app.manifestDescriptor.digest);
    expect(await said('images', '-qf', 'dangling=true')).toBe(`${short(old)}\n`);
    expect(await said('images', '-q', '--filter', 'reference=*/team/*:1')).toBe(`${short(app)}\n`);
    expect(JSON.parse(await said('images', '--format', 'json'))).toMatchObject([
      { name: 'app:latest', id: app.id, digest: app.manifestDescriptor.digest, platforms: ['linux/amd64'] },
      { name: 'localhost:5000/team/app:1' },
      { name: null, id: old.id },
    ]);
  });

  it('and history and inspect have the fields that a template names, as Docker calls them', async () => {
    expect(await said('images', '--format', '{{.Repository}}:{{.Tag}}\\t{{ .ID }}')).toBe(
      `app:latest\t${short(app)}\nlocalhost:5000/team/app:1\t${short(app)}\n<none>:<none>\t${short(old)}\n`,
    );
    expect(JSON.parse((await said('images', 'app', '--format', '{{json .}}')).trim())).toMatchObject({
      Repository: 'app',
      ID: short(app),
    });
    expect(await said('history', 'app', '--format', '{{.CreatedBy}}|{{.Size}}')).toMatch(/^test: layer 1\|\d+ B\n$/);
    expect(await said('inspect', '-f', '{{.Id}} {{.Config.Env}} {{.Config.Labels.evil}} {{.Config.None}}', 'app')).toBe(
      `${app.id} ["A=b"] a\\x1b[31mred line \n`,
    );
    expect(await said('image', 'inspect', '--format', '{{json .RootFS.Layers}} {{.RepoTags}}', 'app')).toBe(
      `${JSON.stringify(app.config.rootfs.diff_ids)} ["app:latest","localhost:5000/team/app:1"]\n`,
    );
  });

  it('is pruned by age', async () => {
    expect(await said('image', 'prune', '--filter', 'until=2019-01-01')).toBe('Nothing to free\n');
    expect(await said('image', 'prune', '-a', '--filter', 'until=2022-01-01')).toContain(
      `Deleted: ${old.manifestDescriptor.digest}\n`,
    );
    expect(await said('images', '-q')).toBe(`${short(app)}\n`);
    expect(await said('image', 'prune', '-a', '--filter', 'until=1h')).toContain('Untagged: app:latest\n');
  });

  it.each([
    [['image', 'prune', '--filter', 'label=x'], /--filter label=x: must be until=24h/],
    [['images', '--format', '{{.Nothing}}'], /there is no field "Nothing"; there are ID, Repository, Tag/],
    [['images', '--format', '{{range .}}x{{end}}'], /\{\{range \.\}\} is more than Tare’s templates have/],
    [['inspect', '--format', '{{.Id}}', '1'], /--format is about images/],
  ])('and the like refuse %j', async (args, message) => {
    expect(await tare(...args)).toMatchObject({ status: 125, stderr: expect.stringMatching(message) });
  });

  it.each([
    [['--filter', 'colour=red'], /"colour=red" is no filter: there are dangling=true/],
    [['--format', 'xml'], /"xml" is no format/],
  ])('refuses %j', async (args, message) => {
    expect(await tare('images', ...args)).toMatchObject({ status: 125, stderr: expect.stringMatching(message) });
  });
});

describe('tare tag and rmi', () => {
  it('give names and take them away; the last one takes the image with it', async () => {
    await said('tag', short(app), 'quay.io/a/b:2');
    expect(await said('rmi', 'quay.io/a/b:2', 'app')).toBe('Untagged: quay.io/a/b:2\nUntagged: app:latest\n');
    expect(await said('rmi', 'localhost:5000/team/app:1')).toBe(
      `Untagged: localhost:5000/team/app:1\nDeleted: ${app.manifestDescriptor.digest}\n`,
    );
    expect(await said('rmi', short(old))).toBe(`Deleted: ${old.manifestDescriptor.digest}\n`);
    expect(readdirSync(join(store.root, 'blobs/sha256'))).toEqual([]);
  });

  it('go on with the others when one fails, and end with its exit code', async () => {
    const ran = await tare('rmi', 'nosuch', short(app), 'app');
    expect(ran.status).toBe(125);
    expect(ran.stdout).toBe('Untagged: app:latest\n');
    expect(ran.stderr).toMatch(
      /^tare: there is no image "nosuch" here.*\ntare: .* has several names \(.*\): remove them by name, or all of them with --force\n$/,
    );
  });

  it('refuse what a container uses, unless forced', async () => {
    const [chainId] = chainIdsOf(app.config.rootfs.diff_ids) as [Digest];
    mkdirSync(join(world.folder, 'state/web'));
    store.lease(join(world.folder, 'state/web')).addSnapshot(chainId);
    await said('rmi', 'localhost:5000/team/app:1');
    expect(await tare('rmi', 'app')).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('because container web uses it'),
    });
    expect(await said('rmi', '-f', 'app')).toContain('Untagged: app:latest');
  });

  it('refuse a digest as a name', async () => {
    expect(await tare('tag', 'app', `b@${digestOf('x')}`)).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('leave it out'),
    });
  });
});

describe('tare inspect', () => {
  it('shows an image, and nothing that moves the cursor', async () => {
    const text = await said('inspect', 'app');
    for (const part of [
      app.id,
      'app:latest, localhost:5000/team/app:1',
      'linux/amd64',
      '["sh","-c","echo \\"x\\""]',
      'A=b',
      '80/tcp',
      'evil=a\\x1b[31mred line',
      app.layers[0]?.descriptor.digest,
    ])
      expect(text).toContain(part);
    const lines = [...text].filter((letter) => letter < ' ' && letter !== '\n');
    expect(lines).toEqual([]);
    expect(JSON.parse(await said('image', 'inspect', '--json', short(app)))).toMatchObject([
      {
        id: app.id,
        names: ['app:latest', 'localhost:5000/team/app:1'],
        platforms: ['linux/amd64'],
        config: app.config,
        manifest: app.manifest,
      },
    ]);
  });

  it('tells a process from an image', async () => {
    expect(await said('inspect', '1')).toContain('Limits of the cgroups');
    expect(await tare('inspect', 'nosuch')).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('no image "nosuch"'),
    });
    expect(await tare('inspect', '--against', '1', 'app')).toMatchObject({
      status: 125,
      stderr: 'tare: --against is about processes\n',
    });
    expect(await tare('inspect', '--platform', 'arm64', 'app')).toMatchObject({
      status: 125,
      stderr: expect.stringMatching(/app is not made for linux\/arm64: there is linux\/amd64/),
    });
  });
});

describe('tare image verify, image prune and system df', () => {
  it('find what is damaged, and mend what can be', async () => {
    expect((await tare('image', 'verify')).stdout).toMatch(
      /^all as it must be: 3 images, 6 blobs \(.*\), 0 unpacked layers\n$/,
    );
    const layer = app.layers[0]?.descriptor.digest as Digest;
    const path = join(store.root, 'blobs/sha256', layer.slice(7));
    writeFileSync(path, readFileSync(path).reverse());
    expect(await tare('image', 'verify', '-q')).toEqual({
      status: 1,
      stdout: `${layer} is damaged: its content is another\n`,
      stderr: '',
    });
    expect((await tare('image', 'verify', '-q', '--repair')).status).toBe(1);
    expect(existsSync(path)).toBe(false);
    expect((await tare('image', 'verify', '-q')).stdout).toBe(
      `app:latest lacks ${layer}\nlocalhost:5000/team/app:1 lacks ${layer}\n`,
    );
  });

  it.each([
    ['manifest', () => app.manifestDescriptor.digest],
    ['config', () => app.id],
  ] as const)('an image whose %s is damaged stands in the way of nothing', async (_, digest) => {
    const container = join(world.folder, 'root/containers/web');
    mkdirSync(container, { recursive: true });
    store.lease(container).addSnapshot(chainIdsOf(old.config.rootfs.diff_ids).at(-1) as Digest);
    writeFileSync(join(store.root, 'blobs/sha256', digest().slice(7)), '{"no": ');
    expect(await said('images')).toMatch(/^app +latest .* damaged: see "tare image verify" /m);
    expect(await tare('history', 'app')).toMatchObject({
      status: 125,
      stderr: expect.stringMatching(/^tare: .* is damaged: .*; "tare image verify --repair" removes it, .*\n$/),
    });
    expect(await said('system', 'df')).toMatch(/^images +2 +1 /m);
    expect(await said('inspect', '-f', '{{.Id}}', old.id.slice(7, 19))).toBe(`${old.id}\n`);
    // What a damaged manifest named is needed by nobody.
    expect(await said('image', 'prune')).not.toMatch(/Untagged|Deleted/);
    expect(await said('rmi', 'localhost:5000/team/app:1', 'app')).toMatch(/^Untagged: app:latest$/m);
    expect(await said('images', '-q')).toBe(`${old.id.slice(7, 19)}\n`);
  });

  it('say what to do where the names cannot be read, and the blobs stay meanwhile', async () => {
    const before = readdirSync(join(store.root, 'blobs/sha256'));
    writeFileSync(join(store.root, 'index.json'), '{"schemaVersion": 2, "manif');
    for (const command of [['images'], ['image', 'prune', '--all'], ['run', 'app'], ['rmi', 'app']])
      expect(await tare(...command)).toMatchObject({
        status: 125,
        stderr: expect.stringMatching(
          /^tare: [^\n]*index\.json is no JSON, [^\n]*: remove it, and pull again, [^\n]*\n$/,
        ),
      });
    expect((await tare('image', 'verify', '-q')).status).toBe(1);
    expect(readdirSync(join(store.root, 'blobs/sha256'))).toEqual(before);
  });

  it('make room', async () => {
    writeFileSync(join(store.root, 'ingest', `sha256-${'0'.repeat(64)}`), Buffer.alloc(10_000));
    const rows = JSON.parse(await said('system', 'df', '--json')) as { kind: string; count: number; bytes: number }[];
    expect(rows.map(({ kind, count }) => [kind, count])).toEqual([
      ['images', 2],
      ['layers', 0],
      ['build cache', 0],
      ['containers', 0],
      ['leftovers', 1],
    ]);
    expect((await said('system', 'df')).split('\n')[0]).toMatch(/^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE$/);
    const first = await said('image', 'prune');
    expect(first).toMatch(
      new RegExp(
        `^Deleted: ${old.manifestDescriptor.digest}\nRemoved 3 blobs, 1 leftover\nFreed .* \\(\\d+ bytes\\)\n$`,
      ),
    );
    // As scripts for docker call it.
    expect(await said('system', 'prune', '-f')).toBe('Nothing to free\n');
    expect(await said('image', 'prune', '--all')).toMatch(
      /^Untagged: app:latest\nUntagged: localhost:5000\/team\/app:1\nRemoved 3 blobs\nFreed .*\n$/,
    );
    expect(await said('images', '-q')).toBe('');
  });
});
