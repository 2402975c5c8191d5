import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadImage } from '../../../runtime/image/image.js';
import { parseReference } from '../../../runtime/image/reference.js';
import { chainIdsOf, mountOverlay, openSnapshots } from '../../../runtime/image/snapshot/index.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { makeImage, makeLayer, putImage } from '../../harness/images.js';
import { describeTree, diffTrees, type Tree, type TreeEntry } from '../../harness/tree.js';
import { buildProgram, endOf, type Program } from './program.js';

/** TARE_KILLS=200 for the whole of it. */
const KILLS = Number(process.env.TARE_KILLS ?? 15);
const NAME = 'killed:1';

const image = makeImage(
  Array.from({ length: 5 }, (_, i) =>
    makeLayer(
      [
        ...Array.from({ length: 60 }, (_, j) => ({
          path: `d${j % 7}/f${(i * 20 + j) % 100}`,
          content: Buffer.alloc((j * 977) % 9000, `${i}${j}`),
        })),
        { path: `d${i}/.wh.f${i}` },
        { path: `linked${i}`, type: 'hardlink', target: i === 0 ? 'd1/f1' : `linked${i - 1}` },
      ],
      (['gzip', 'zstd', 'none'] as const)[i % 3],
    ),
  ),
);
const chain = chainIdsOf(image.config.rootfs.diff_ids);

let root: string;
let program: Program;
beforeEach(async (context) => {
  if (process.geteuid?.() !== 0) context.skip('only root mounts here');
  root = mkdtempSync(join(tmpdir(), 'tare-kill-'));
  program = await buildProgram('test/image/snapshot/unpacker.ts');
});
afterEach(() => {
  program?.[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

/** The time at which a whiteout was made says nothing. */
function isWhiteoutTime(_: string, field: string, { device }: TreeEntry): boolean {
  return field === 'mtimeNs' && device === '0:0';
}

/** What is in the store besides its blobs: the names, to be compared, and bytes. */
function unpacked(): { names: string[]; bytes: number } {
  const names = ['ingest', 'snapshots', 'leases'].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => `${folder}/${name}`),
  );
  const bytesIn = (path: string): number => {
    const facts = lstatSync(path);
    const below = facts.isDirectory() ? readdirSync(path).map((name) => bytesIn(join(path, name))) : [];
    return below.reduce((a, b) => a + b, facts.isDirectory() ? 0 : facts.blocks * 512);
  };
  return { names: names.sort(), bytes: names.reduce((sum, name) => sum + bytesIn(join(root, name)), 0) };
}

/** Kills it some time after it has begun, and before it ends by itself as far as one can know. */
async function killOnce(longest: number): Promise<{ took: number; killed: boolean }> {
  const child = program.start(root, NAME);
  let begun: (() => void) | undefined;
  const begins = new Promise<void>((resolve) => {
    begun = resolve;
  });
  child.stdout?.on('data', (text: Buffer) => {
    if (text.includes('begins')) begun?.();
  });
  const ended = endOf(child);
  await Promise.race([begins, ended]);
  const start = performance.now();
  await Promise.race([sleep(Math.random() * longest), ended]);
  child.kill('SIGKILL');
  const { signal, code, output } = await ended;
  if (signal !== 'SIGKILL') expect([code, output]).toEqual([0, expect.stringContaining('unpacked sha256:')]);
  return { took: performance.now() - start, killed: signal === 'SIGKILL' };
}

it(`an unpacking that is killed at ${KILLS} moments leaves whole layers only, and what a collection removes`, {
  timeout: 120_000 + KILLS * 5_000,
}, async () => {
  using store = await ImageStore.open(root);
  const snapshots = openSnapshots(store);
  const complete = async () => {
    using lease = store.lease();
    const top = await snapshots.unpack(loadImage(store, NAME), lease);
    using merged = await mountOverlay({ lower: snapshots.lower(top) });
    return describeTree(`/proc/${process.pid}/fd/${merged.fd}/.`);
  };
  await putImage(store, image, NAME);
  let { took: longest } = await killOnce(60_000);
  const expected = await complete();
  const whole = unpacked();
  const layers = chain.map((chainId) => describeTree(snapshots.lower(chainId)[0] as string));
  const forget = async () => {
    await store.names.delete(parseReference(NAME));
    await store.collectGarbage({ partials: true });
    expect(unpacked()).toEqual({ names: [], bytes: 0 });
    await putImage(store, image, NAME);
  };
  await forget();
  let kills = 0;
  for (let i = 0; kills < KILLS; i++) {
    const { killed } = await killOnce(longest);
    if (killed) kills++;
    // It was over before its moment: the machine has less to do than when it was measured.
    else longest *= 0.9;
    // What is visible is whole.
    for (const [at, chainId] of chain.entries()) {
      if (!snapshots.has(chainId)) continue;
      if (i % 5 === 0) {
        const tree = describeTree(snapshots.lower(chainId)[0] as string);
        expect(diffTrees(tree, layers[at] as Tree, { ignore: isWhiteoutTime })).toEqual([]);
      }
      expect(existsSync(join(snapshots.lower(chainId)[0] as string, '../snapshot.json'))).toBe(true);
    }
    // In turn: the next kill meets what this one left; a collection comes first; all is finished, and begun anew.
    if (i % 3 === 1) await store.collectGarbage({ partials: true });
    if (i % 3 === 1) expect(unpacked().names.filter((name) => !name.startsWith('snapshots/'))).toEqual([]);
    if (i % 3 !== 2 && snapshots.has(chain.at(-1) as never)) await forget();
    if (i % 3 === 2) {
      expect(diffTrees(await complete(), expected)).toEqual([]);
      await store.collectGarbage({ partials: true });
      const { names, bytes } = unpacked();
      expect([names.length, bytes]).toEqual([whole.names.length, whole.bytes]);
      await forget();
    }
  }
});
