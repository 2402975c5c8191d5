/**
 * Pulling an image of four layers, about 150 MB, from a registry on this machine. Downloaded and unpacked: by `tare pull` and by `docker pull`, whose daemon
 * is warm while Tare's process starts each time. Downloaded only: by `tare pull --no-unpack`, which waits for the disk, and by `skopeo copy` into an OCI layout.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parseReference } from '../../runtime/image/reference.js';
import { push } from '../../runtime/image/registry/index.js';
import { ImageStore } from '../../runtime/image/store/index.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { makeImage, makeLayer, putImage, type TestImage } from '../harness/images.js';
import { startRegistry } from '../harness/registry.js';
import { type Candidate, ratio, sideBySide, table, verdict } from './measure.js';

const ROUNDS = 5;
const run = promisify(execFile);

export async function bench(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-bench-pull-'));
  const registry = await startRegistry();
  let docker: Docker | undefined;
  try {
    const name = `${registry.host}/bench/app:1`;
    await publish(join(folder, 'source'), name, largeImage());
    docker = await startDocker(folder);
    const { command } = docker;
    const env = { PATH: process.env.PATH, HOME: folder, TARE_ROOT: join(folder, 'tare') };
    const tare = (...args: string[]) =>
      run(join(packageRoot(), 'dist/bin/tare'), ['pull', '-q', ...args, name], { env });
    const clean = async (path: string) => rmSync(join(folder, path), { recursive: true, force: true });
    const layout = join(folder, 'layout');
    const candidates: Candidate[] = [
      { name: 'tare pull', run: async () => void (await tare()), clean: () => clean('tare') },
      {
        name: 'docker pull',
        run: async () => void (await run('docker', [...command, 'pull', '-q', name])),
        clean: async () => void (await run('docker', [...command, 'rmi', name])),
      },
      { name: 'tare pull --no-unpack', run: async () => void (await tare('--no-unpack')), clean: () => clean('tare') },
      {
        name: 'skopeo copy',
        run: async () =>
          void (await run('skopeo', ['copy', '-q', '--src-tls-verify=false', `docker://${name}`, `oci:${layout}:1`])),
        clean: () => clean('layout'),
      },
    ];
    const [ours, dockers, download, skopeos] = await sideBySide(candidates, ROUNDS, 1);
    if (!ours || !dockers || !download || !skopeos) throw new Error('a candidate was not measured');
    return [
      table([ours, dockers]),
      table([download, skopeos]),
      verdict('tare pull, of docker pull', ratio(ours, dockers), 1, 'x'),
    ].join('\n');
  } finally {
    await docker?.stop();
    await registry.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Files of some hundred kilobytes, half of which nothing makes smaller. */
function largeImage(): TestImage {
  const layers = Array.from({ length: 4 }, (_, layer) =>
    makeLayer(
      Array.from({ length: 200 }, (_, i) => {
        const content = Buffer.alloc(360_000, `file ${i} of layer ${layer}\n`);
        randomFillSync(content, 0, 180_000);
        return { path: `layer${layer}/file${i}`, content };
      }),
    ),
  );
  return makeImage(layers);
}

async function publish(folder: string, name: string, image: TestImage): Promise<void> {
  using store = await ImageStore.open(folder);
  await putImage(store, image, name);
  await push(store, parseReference(name));
}

export interface Docker {
  /** What stands before each of the client's commands. */
  readonly command: readonly string[];
  stop(): Promise<void>;
}

export async function startDocker(folder: string): Promise<Docker> {
  const socket = `unix://${join(folder, 'docker.sock')}`;
  const command = ['--host', socket];
  mkdirSync(join(folder, 'docker'));
  const daemon: ChildProcess = spawn(
    'dockerd',
    [
      ...['--host', socket, '--pidfile', join(folder, 'docker.pid'), '--storage-driver', 'overlay2'],
      ...['--data-root', join(folder, 'docker/data'), '--exec-root', join(folder, 'docker/exec')],
      ...['--iptables=false', '--ip6tables=false', '--bridge=none', '--ip-forward=false'],
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  const stop = async () => {
    daemon.kill('SIGTERM');
    await ended;
  };
  for (let tries = 0; ; tries++) {
    try {
      await run('docker', [...command, 'version']);
      return { command, stop };
    } catch (error) {
      if (tries < 300 && daemon.exitCode === null) await sleep(100);
      else {
        await stop();
        throw error;
      }
    }
  }
}
