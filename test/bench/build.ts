/**
 * Building: three RUNs and a copy of 200 files of 20 MB over a busybox, done anew and all from the cache, by `tare build` and by `docker build` (the classic
 * builder: Debian's client has no other). Docker's daemon is warm while Tare's process starts each time.
 */
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ImageStore } from '../../runtime/image/store/index.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { busyboxImage, dockerArchive, putImage } from '../harness/images.js';
import { type Candidate, ratio, sideBySide, table, verdict } from './measure.js';
import { type Docker, startDocker } from './pull.js';

const ROUNDS = 5;
const run = promisify(execFile);

const DOCKERFILE = `FROM base
COPY files /files
RUN cat /files/* | md5sum > /sum
RUN mkdir /made && for i in $(seq 200); do echo $i > /made/$i; done
RUN rm -r /files
`;

export async function bench(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-bench-build-'));
  let docker: Docker | undefined;
  try {
    const context = makeContext(folder);
    const base = busyboxImage();
    const tareEnv = {
      PATH: process.env.PATH,
      HOME: folder,
      TARE_ROOT: join(folder, 'tare'),
      TARE_STATE: join(folder, 'state'),
    };
    {
      using store = await ImageStore.open(join(folder, 'tare/images'));
      await putImage(store, base, 'base');
    }
    docker = await startDocker(folder);
    const { command } = docker;
    writeFileSync(join(folder, 'base.tar'), dockerArchive([{ name: 'base:latest', image: base }]));
    await run('docker', [...command, 'load', '-q', '-i', join(folder, 'base.tar')]);
    const tare = async (...more: string[]) => {
      await run(join(packageRoot(), 'dist/bin/tare'), ['build', '-q', '-t', 'made', ...more, context], {
        env: tareEnv,
      });
    };
    const docked = async (...more: string[]) => {
      const env = { PATH: process.env.PATH, HOME: folder, DOCKER_BUILDKIT: '0' };
      await run('docker', [...command, 'build', '-q', '--network', 'none', '-t', 'made', ...more, context], { env });
    };
    const candidates = (...more: string[]): Candidate[] => [
      { name: 'tare build', run: () => tare(...more) },
      { name: 'docker build', run: () => docked(...more) },
    ];
    const anew = await sideBySide(candidates('--no-cache'), ROUNDS, 1);
    const cached = await sideBySide(candidates(), ROUNDS, 1);
    return [
      '  every step done:',
      table(anew),
      '  every step cached:',
      table(cached),
      ...[anew, cached].flatMap(([ours, classic], i) =>
        ours && classic
          ? verdict(`tare build ${i === 0 ? 'anew' : 'cached'}, of docker build`, ratio(ours, classic), 1, 'x')
          : [],
      ),
    ].join('\n');
  } finally {
    await docker?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeContext(folder: string): string {
  const context = join(folder, 'context');
  mkdirSync(join(context, 'files'), { recursive: true });
  writeFileSync(join(context, 'Dockerfile'), DOCKERFILE);
  const content = Buffer.alloc(100_000, 'something that is made smaller\n');
  for (let i = 0; i < 200; i++) writeFileSync(join(context, `files/${i}`), randomFillSync(content, 0, 50_000));
  return context;
}
