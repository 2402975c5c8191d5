/**
 * `tare build` killed at random moments: the next build succeeds, the store verifies, and after a prune no byte, container or secret of it is left. A few
 * moments in CI; TARE_KILLS sets how many.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImageStore } from '../../runtime/image/store/index.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { busyboxImage, putImage } from '../harness/images.js';

const KILLS = Number(process.env.TARE_KILLS ?? 6);
const TARE = join(packageRoot(), 'dist/bin/tare');

const DOCKERFILE = `FROM busybox AS a
COPY files /files
RUN --mount=type=cache,target=/cache --mount=type=secret,id=s cat /run/secrets/s >> /cache/log; cat /files/* | md5sum > /sum; sleep 0.2
FROM busybox
RUN dd if=/dev/urandom of=/random bs=1M count=4 2>/dev/null; sleep 0.2
COPY --from=a /sum /sum
RUN rm /random; cat /sum
`;

describe('a build that is killed', () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tare-build-killed-'));
    env = { ...process.env, TARE_ROOT: join(folder, 'root'), TARE_STATE: join(folder, 'state'), SECRET: 'hunter2' };
    mkdirSync(join(folder, 'context/files'), { recursive: true });
    writeFileSync(join(folder, 'context/Dockerfile'), DOCKERFILE);
    for (let i = 0; i < 50; i++) writeFileSync(join(folder, `context/files/${i}`), `${i}\n`.repeat(1000));
    using store = await ImageStore.open(join(folder, 'root/images'));
    await putImage(store, busyboxImage(), 'busybox');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const args = (...more: string[]) => [
    'build',
    '-t',
    'built',
    '--secret',
    'id=s,env=SECRET',
    ...more,
    join(folder, 'context'),
  ];
  const tare = (...words: string[]) => spawnSync(TARE, words, { env, encoding: 'utf8' });
  const within = (path: string) => (existsSync(join(folder, path)) ? readdirSync(join(folder, path)) : []);

  it(
    `at ${KILLS} random moments leaves nothing that the next build and a prune do not take care of`,
    async () => {
      const begun = performance.now();
      expect(tare(...args('--no-cache')).stderr).toContain('named built');
      const whole = performance.now() - begun;
      for (let i = 0; i < KILLS; i++) {
        const building = spawn(TARE, args('--no-cache'), { env, stdio: 'ignore' });
        const ended = new Promise((resolve) => building.once('close', resolve));
        await sleep(Math.random() * whole);
        building.kill('SIGKILL');
        await ended;
        if (i % 5 !== 4 && i !== KILLS - 1) continue;
        const next = tare(...args());
        expect(next.stderr).toContain('named built');
        expect(within('state'), `after kill ${i}`).toEqual([]);
        expect(within('root/images/build-cache/steps')).toEqual([]);
        const verified = tare('image', 'verify');
        expect(verified.status, verified.stdout + verified.stderr).toBe(0);
      }
      expect(tare('image', 'prune', '--all').status).toBe(0);
      const kept = ['blobs/sha256', 'snapshots', 'ingest', 'leases', 'build-cache/steps', 'build-cache/mounts'];
      expect(kept.map((path) => [path, within(`root/images/${path}`)])).toEqual(kept.map((path) => [path, []]));
    },
    60_000 + KILLS * 10_000,
  );

  it('by Ctrl-C ends its containers, and leaves nothing', async () => {
    using store = await ImageStore.open(join(folder, 'root/images'));
    await putImage(store, busyboxImage(), 'busybox');
    const building = spawn(TARE, ['build', '-'], { env, stdio: ['pipe', 'ignore', 'pipe'] });
    building.stdin.end('FROM busybox\nRUN echo begun; sleep 1000\n');
    let said = '';
    await new Promise<void>((resolve) =>
      building.stderr.on('data', (data: Buffer) => {
        said += data.toString();
        if (/^#\d+ [\d.]+ begun$/m.test(said)) resolve();
      }),
    );
    building.kill('SIGINT');
    const code = await new Promise((resolve) => building.once('close', resolve));
    expect(code, said).toBe(130);
    expect(within('state')).toEqual([]);
    expect(within('root/images/build-cache/steps')).toEqual([]);
  });
});
