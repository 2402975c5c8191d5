/**
 * Who uses the store may be killed at any moment, while others use it: it verifies all the same, what comes next succeeds, and nothing is left
 * of what nobody needs.
 */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { prune } from '../../../runtime/image/prune.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { buildProgram, endOf } from '../snapshot/program.js';

/** How many are killed; TARE_KILLS for more. */
const KILLS = Number(process.env.TARE_KILLS ?? 16);

it('a store outlives whoever uses it', { timeout: KILLS * 15_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tare-killed-'));
  const [root, containers] = [join(folder, 'images'), join(folder, 'containers')];
  using program = await buildProgram('test/image/store/worker.ts');
  using store = await ImageStore.open(root);
  try {
    let pulled = 0;
    // In milliseconds; longer on a machine on which nobody has got far by then.
    let moments = 150;
    // Until one at least has had the time to name an image.
    for (let kill = 0; kill < KILLS || pulled === 0; kill += 2) {
      const workers = [
        program.start('write', root, containers),
        program.start(kill % 4 === 0 ? 'collect' : 'write', root, containers),
      ];
      const ends = workers.map(endOf);
      const ready = workers.map((worker) => once(worker.stdout as NodeJS.ReadableStream, 'data'));
      await Promise.race([Promise.all(ready), ...ends]);
      for (const worker of workers) {
        await sleep(Math.random() * moments);
        worker.kill('SIGKILL');
      }
      expect(await Promise.all(ends)).toEqual(
        workers.map(() => ({ code: null, signal: 'SIGKILL', output: 'ready\n' })),
      );
      const verified = await store.verify();
      expect(verified.problems).toEqual([]);
      pulled = Math.max(pulled, verified.images);
      if (pulled === 0) moments = Math.min(moments * 2, 5000);
    }
    rmSync(containers, { recursive: true, force: true });
    await prune(store, { all: true, containers });
    expect(await store.verify()).toEqual({ blobs: 0, bytes: 0, images: 0, snapshots: 0, problems: [] });
    const left = ['blobs/sha256', 'ingest', 'leases', 'snapshots'].flatMap((name) => readdirSync(join(root, name)));
    expect(left).toEqual([]);
    expect(readdirSync(root).sort()).toEqual([
      'blobs',
      'index.json',
      'ingest',
      'leases',
      'lock',
      'oci-layout',
      'reserve',
      'snapshots',
      'tare.db',
      'tare.db-shm',
      'tare.db-wal',
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
