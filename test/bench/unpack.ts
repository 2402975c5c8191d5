/**
 * How fast images unpack: about 300 MB of this machine's /usr as one layer, against GNU tar and umoci; and as two layers, which are unpacked at the same
 * time, against what docker and podman do to load them: layers packed by gzip that are in the store, and the very archive that those read. And how much
 * memory layers of 2 GB take.
 *
 * What is unpacked stays until the end (9 GB): ext4 looks at each inode that was freed in the last minute before it gives a new one away (recently_deleted() in
 * fs/ext4/ialloc.c), so that a machine on which much is being deleted measures that and nothing else.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadArchive } from '../../runtime/image/archive/index.js';
import { loadImage } from '../../runtime/image/image.js';
import { applyLayer } from '../../runtime/image/layer/index.js';
import { openSnapshots } from '../../runtime/image/snapshot/index.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import { native } from '../../runtime/kernel/addon.js';
import { O_DIRECTORY, O_PATH } from '../../runtime/kernel/constants/open.js';
import { OwnedFd } from '../../runtime/kernel/fd.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { Docker } from '../engines/docker.js';
import { Place } from '../engines/engine.js';
import { makeImage, makeLayer, putImage, type TestImage, type TestLayer, writeLayout } from '../harness/images.js';
import { type Candidate, type Measured, ratio, sideBySide, table, verdict } from './measure.js';

const SIZE = 300 * 2 ** 20;
const ROUNDS = 3;
const WARMUP = 1;

interface Round {
  readonly name: string;
  readonly image: TestImage;
  readonly archive: string;
}

export async function bench(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-bench-'));
  try {
    const files = someFiles('/usr', SIZE);
    const lines = [await oneLayer(join(folder, 'one'), makeLayer(archiveOf(files, folder)))];
    const middle = halfOf(files);
    const halves = [files.slice(0, middle), files.slice(middle)].map((part) => makeLayer(archiveOf(part, folder)));
    lines.push(await severalLayers(join(folder, 'two'), halves));
    for (const part of ['one', 'two']) rmSync(join(folder, part), { recursive: true });
    lines.push(memory(folder));
    return lines.join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One layer: into an empty folder each. */
async function oneLayer(folder: string, layer: TestLayer): Promise<string> {
  mkdirSync(folder);
  const packed = join(folder, 'layer.tar.gz');
  writeFileSync(packed, layer.blob);
  writeLayout(join(folder, 'layout'), [{ name: '1', image: makeImage([layer]) }]);
  const into = (name: string, run: (target: string) => Promise<void> | void): Candidate => ({
    name,
    run: async () => await run(mkdtempSync(join(folder, 'target-'))),
  });
  const [tare, tar, umoci] = (await sideBySide(
    [
      into('applyLayer', (target) => apply(packed, target)),
      into('tar -xz', (target) =>
        succeed('tar', '--numeric-owner', '--xattrs', '--xattrs-include=*', '-C', target, '-xzpf', packed),
      ),
      into('umoci unpack', (target) =>
        succeed('umoci', 'unpack', '--image', `${join(folder, 'layout')}:1`, join(target, 'bundle')),
      ),
    ],
    ROUNDS,
    WARMUP,
  )) as [Measured, Measured, Measured];
  return [
    `  one layer of ${(layer.tar.length / 2 ** 20).toFixed(0)} MiB, ${(layer.blob.length / 2 ** 20).toFixed(0)} MiB packed`,
    table([tare, tar, umoci]),
    verdict('unpacking one layer, of tar -xz', ratio(tare, tar), 1.3, 'x'),
    verdict('unpacking one layer, of umoci unpack', ratio(tare, umoci), 1, 'x'),
  ].join('\n');
}

/**
 * Two layers, upon one that is another in each round: so nobody has them already, and nothing need be removed. Tare gets a new store each time: one in
 * which the blobs are but no snapshot, or one with nothing in it.
 */
async function severalLayers(folder: string, layers: readonly TestLayer[]): Promise<string> {
  mkdirSync(folder);
  const rounds = Array.from({ length: WARMUP + ROUNDS }, (_, i) => {
    const first = makeLayer([{ path: 'round', content: `${i}` }]);
    return { name: `bench:${i}`, image: makeImage([first, ...layers]), archive: join(folder, `${i}.tar`) };
  });
  for (const { name, image, archive } of rounds) {
    const layout = join(folder, 'layout');
    writeLayout(layout, [{ name, image }]);
    succeed('skopeo', 'copy', '--quiet', `oci:${layout}:${name}`, `docker-archive:${archive}:${name}`);
  }
  const stores = rounds.map((_, i) => join(folder, `store-${i}`));
  for (const [i, { name, image }] of rounds.entries()) {
    using store = await ImageStore.open(stores[i] as string);
    await putImage(store, image, name);
  }
  const docker = await Docker.open('bench-d', ['--storage-driver', 'overlay2']);
  const place = await Place.open('bench-p');
  try {
    const inTurn = (work: (round: Round, i: number) => Promise<void>) => {
      let i = 0;
      return async () => await work(rounds[i] as Round, i++);
    };
    const unpack = async (store: ImageStore, name: string) => {
      using lease = store.lease();
      await openSnapshots(store).unpack(loadImage(store, name), lease);
    };
    const measured = await sideBySide(
      [
        {
          name: 'unpack, two layers of gzip',
          run: inTurn(async ({ name }, i) => {
            using store = await ImageStore.open(stores[i] as string);
            await unpack(store, name);
          }),
        },
        {
          name: 'load and unpack the archive',
          run: inTurn(async ({ name, archive }, i) => {
            using empty = await ImageStore.open(join(folder, `empty-${i}`));
            await loadArchive(empty, createReadStream(archive, { highWaterMark: 2 ** 20 }));
            await unpack(empty, name);
          }),
        },
        {
          name: 'docker load',
          run: inTurn(async ({ archive }) => void (await docker.ok('load', '--quiet', '--input', archive))),
        },
        {
          name: 'podman load',
          run: inTurn(async ({ archive }, i) => {
            await place.ok([
              // /run is the world's own; podman takes no long path for it
              ...['podman', '--root', join(place.folder, `data-${i}`), '--runroot', `/run/podman-${i}`],
              ...['--storage-driver', 'overlay', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'],
              ...['load', '--quiet', '--input', archive],
            ]);
          }),
        },
      ],
      ROUNDS,
      WARMUP,
    );
    const [packed, archive, ...engines] = measured as [Measured, Measured, Measured, Measured];
    const against = (what: string, ours: Measured) =>
      engines.map((engine) => verdict(`${what}, of ${engine.name}`, ratio(ours, engine), 1, 'x'));
    return [
      table([packed, ...engines]),
      table([archive, ...engines]),
      ...against('unpacking two layers of gzip', packed),
      ...against('loading and unpacking the same archive', archive),
    ].join('\n');
  } finally {
    await docker.place.close();
    await place.close();
  }
}

/** The most memory that a process had which did nothing else: VmHWM, proc_pid_status(5). */
function memory(folder: string): string {
  const block = Buffer.concat(Array.from({ length: 1024 }, (_, i) => createHash('sha512').update(`${i}`).digest()));
  const path = join(folder, 'content');
  writeFileSync(path, Buffer.alloc(64 * 2 ** 20, block));
  // Members one after the other are one stream (RFC 1952): so 2 GB need not be packed, but only 64 MB.
  const script = `
    set -e; mkdir big out first second; truncate -s 2G big/file; tar -cf head.tar big; head -c 1024 head.tar | gzip -1 > big.gz
    gzip -1 < content > member.gz; for i in $(seq 32); do cat member.gz; done >> big.gz; head -c 1024 /dev/zero | gzip >> big.gz`;
  succeedIn(folder, 'sh', '-ec', script);
  const program = join(packageRoot(), 'dist/test/bench/unpack-memory.js');
  const peak = (...folders: string[]) =>
    Number(succeedIn(folder, process.execPath, program, 'big.gz', ...folders)) / 1024;
  return [
    verdict('peak memory of a process that unpacks a layer of 2 GB', peak('out'), 200, ' MB'),
    verdict('peak memory of a process that unpacks two such, each in a thread', peak('first', 'second'), 200, ' MB'),
  ].join('\n');
}

async function apply(packed: string, into: string): Promise<void> {
  using target = new OwnedFd(native.open(into, O_PATH | O_DIRECTORY));
  await applyLayer(createReadStream(packed, { highWaterMark: 2 ** 20 }), 'gzip', target.fd);
}

/** Paths below a folder, in order, until they have so many bytes. */
function someFiles(top: string, bytes: number): string[] {
  const found: string[] = [];
  let sum = 0;
  const visit = (path: string) => {
    for (const { name, isFolder } of readdirSync(path, { withFileTypes: true })
      .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (sum >= bytes) return;
      const below = join(path, name);
      const { size } = lstatSync(below);
      if (size > bytes / 20) continue; // an image is not one large file
      if (!isFolder) sum += size;
      found.push(below.slice(1));
      if (isFolder) visit(below);
    }
  };
  // The many small files, and then the large.
  for (const part of ['share/doc', 'bin', 'lib']) visit(join(top, part));
  return found;
}

function halfOf(files: readonly string[]): number {
  const sizes = files.map((path) => lstatSync(join('/', path)).size);
  const half = sizes.reduce((sum, size) => sum + size, 0) / 2;
  let sum = 0;
  return sizes.findIndex((size) => {
    sum += size;
    return sum >= half;
  });
}

function archiveOf(files: readonly string[], folder: string): Buffer {
  const list = join(folder, 'list');
  writeFileSync(list, files.join('\0'));
  return execFileSync('tar', ['-C', '/', '--no-recursion', '--numeric-owner', '--null', '-T', list, '-cf', '-'], {
    maxBuffer: 2 ** 30,
  });
}

function succeed(program: string, ...args: readonly string[]): void {
  succeedIn('/', program, ...args);
}

function succeedIn(cwd: string, program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program}: status ${status}: ${stderr}`);
  return stdout;
}
