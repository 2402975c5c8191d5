/**
 * What a container costs beyond what the kernel charges for it. The same namespaces, mounts, masked paths, cgroup placement
 * and limits to the exit of /bin/true: by Tare's plan (compiled before; checked and encoded in the measured time) from a warm Node process, by a bare C program (bare.c), and by
 * bubblewrap (which makes no cgroup, and fewer mounts), each spawned by the same addon. What stays is removed after the clock stops.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Container, defaultConfig, type Prepared, prepare } from '../../runtime/container/index.js';
import { native } from '../../runtime/kernel/addon.js';
import { removeCgroups } from '../../runtime/kernel/cgroup/index.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { runPlan } from '../../runtime/plan/index.js';
import { type Candidate, ratio, sideBySide, table, verdict } from './measure.js';

const ROUNDS = 200;
const READABLE = 1;

export async function bench(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-bench-'));
  const fds: number[] = [];
  try {
    const rootfs = makeRootfs(join(folder, 'rootfs'));
    const id = `bench-${process.pid}`;
    const prepared = prepare({ id, bundle: bundleFor(folder, rootfs) });
    const bare = buildBare(folder);
    const executable = (path: string): number => {
      const fd = native.sealedMemfd('bench', readFileSync(path));
      fds.push(fd);
      return fd;
    };
    const places = prepared.cgroup?.places ?? [];
    const barePlaces = places.map((place) => ({ ...place, directory: `${place.directory}-bare` }));
    const bareDirectories = barePlaces.map(({ directory }) => directory);

    const candidates: Candidate[] = [
      { name: 'plan under stage', run: () => plan(prepared, folder), clean: () => removeCgroups(places) },
      {
        ...spawned('bare C program', executable(bare), ['bare', rootfs, ...bareDirectories, '--', '/bin/true']),
        clean: () => removeCgroups(barePlaces),
      },
      spawned('bubblewrap', executable('/usr/bin/bwrap'), ['bwrap', ...bubblewrap(rootfs)]),
      { name: 'Container: create, start, wait, delete', run: () => lifecycle(folder, rootfs) },
    ];
    const [stage, bareC, bwrap, whole] = await sideBySide(candidates, ROUNDS);
    if (!stage || !bareC || !bwrap || !whole) throw new Error('a candidate was not measured');
    return [
      table([stage, bareC, bwrap]),
      table([whole, bareC]),
      verdict('plan under stage, of the bare C program', ratio(stage, bareC), 2, 'x'),
      verdict('plan under stage, of bubblewrap', ratio(stage, bwrap), 1, 'x'),
    ].join('\n');
  } finally {
    for (const fd of fds) native.close(fd);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The bare C program, built into a folder. */
export function buildBare(folder: string): string {
  const bare = join(folder, 'bare');
  execFileSync('gcc', ['-O2', '-static', '-o', bare, join(packageRoot(), 'test/bench/bare.c')]);
  return bare;
}

/** A root file system of one static busybox. */
export function makeRootfs(path: string): string {
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp']) mkdirSync(join(path, name), { recursive: true });
  copyFileSync('/bin/busybox', join(path, 'bin/busybox'));
  for (const name of ['true', 'sh', 'sleep']) symlinkSync('busybox', join(path, 'bin', name));
  return path;
}

export function bundleFor(folder: string, rootfs: string, args: readonly string[] = ['/bin/true']): Prepared['bundle'] {
  const limits = { memory: 64 << 20, pids: 100 };
  const config = defaultConfig({ rootfs, args, hostname: 'bench', limits, caller: { uid: 0, gid: 0 } });
  return { path: folder, rootfs, config };
}

async function plan(prepared: Prepared, folder: string): Promise<void> {
  const state = native.open(folder, 0o10000000 | 0o200000 | 0o2000000); // O_PATH | O_DIRECTORY | O_CLOEXEC
  const listener = native.listenAt(state, 'sock');
  try {
    const run = runPlan(prepared.plan, { given: { state, listener }, onCall: () => undefined });
    const status = await run.exited;
    if (status !== 0) throw new Error(`/bin/true ended with wait status ${status}`);
    await run.ended;
  } finally {
    native.close(state);
    native.close(listener);
    rmSync(join(folder, 'sock'), { force: true });
    rmSync(join(folder, 'exit'), { force: true });
  }
}

async function lifecycle(folder: string, rootfs: string): Promise<void> {
  const container = await Container.create({
    id: `bench-${process.pid}-whole`,
    bundle: bundleFor(folder, rootfs),
    stateRoot: join(folder, 'state'),
  });
  await container.start();
  await container.wait();
  await container.delete();
}

/** A program started by the addon, as stage is, and waited for by its pidfd. */
export function spawned(name: string, exe: number, argv: readonly string[]): Candidate {
  const run = () =>
    new Promise<void>((resolve, reject) => {
      const { pidfd } = native.spawn(exe, argv, [], [0, 1, 2]);
      const watcher = native.watch(pidfd, READABLE, () => {
        watcher.close();
        const status = native.waitPidfd(pidfd);
        native.close(pidfd);
        if (status === 0) resolve();
        else reject(new Error(`${name} ended with wait status ${status}`));
      });
    });
  return { name, run };
}

function bubblewrap(rootfs: string): string[] {
  const mounts = ['--bind', rootfs, '/', '--proc', '/proc', '--dev', '/dev', '--ro-bind', '/sys', '/sys'];
  const namespaces = ['--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup'];
  return [...namespaces, '--hostname', 'bench', ...mounts, '--chdir', '/', '--', '/bin/true'];
}
