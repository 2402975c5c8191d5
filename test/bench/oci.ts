/**
 * Tare in runc's place. The same bundle is created, started, waited for and deleted: by Tare from a warm Node process, as a library; by
 * runc, which has a process for each command; and by `tare-oci` in its own processes, as an engine calls it. What stays in memory
 * while a container runs, and what a create costs when a thousand containers are there already.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Container, type Prepared, prepare } from '../../runtime/container/index.js';
import { native } from '../../runtime/kernel/addon.js';
import { removeCgroups } from '../../runtime/kernel/cgroup/index.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { buildBare, bundleFor, makeRootfs, spawned } from './container.js';
import { type Candidate, median, ratio, sideBySide, table, verdict } from './measure.js';

const ROUNDS = 40;
const MANY = 1000;
const COMPARED = 150;

const run = promisify(execFile);

export async function bench(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-bench-oci-'));
  try {
    const bundle = ociBundle(folder);
    const times = await lifecycles(folder, bundle);
    const many = await amongMany(folder, bundle);
    return [...times, ...(await memory(folder, bundle)), ...many].join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A bundle on disk, for runtimes that read one. */
function ociBundle(folder: string): Prepared['bundle'] {
  const rootfs = makeRootfs(join(folder, 'rootfs'));
  const bundle = bundleFor(folder, rootfs);
  const config = { ...bundle.config, root: { path: 'rootfs', readonly: false } };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return bundle;
}

async function lifecycles(folder: string, bundle: Prepared['bundle']): Promise<string[]> {
  const candidates: Candidate[] = [
    { name: 'Tare, from a warm process', run: () => asLibrary(folder, bundle, `bench-${process.pid}`) },
    { name: 'runc', run: () => asCommands('runc', folder, `bench-${process.pid}-runc`) },
    {
      name: 'tare-oci, a process for each command',
      run: () => asCommands(join(packageRoot(), 'dist/bin/tare-oci'), folder, `bench-${process.pid}-oci`),
    },
  ];
  const [warm, runc, oci] = await sideBySide(candidates, ROUNDS);
  if (!warm || !runc || !oci) throw new Error('a candidate was not measured');
  return [
    '  create, start, wait, delete:',
    table([warm, runc, oci]),
    verdict('from a warm process, of runc', ratio(warm, runc), 1, 'x'),
  ];
}

async function asLibrary(folder: string, bundle: Prepared['bundle'], id: string): Promise<void> {
  const container = await Container.create({ id, bundle, stateRoot: join(folder, 'state') });
  await container.start();
  await container.wait();
  await container.delete();
}

async function asCommands(runtime: string, folder: string, id: string): Promise<void> {
  const root = ['--root', join(folder, 'oci')];
  // Its streams are files of nobody: a pipe would be held open by the container until its end.
  await quietly(runtime, [...root, 'create', '--bundle', folder, id]);
  await quietly(runtime, [...root, 'start', id]);
  for (let tries = 0; tries < 1000; tries++) {
    const { stdout } = await run(runtime, [...root, 'state', id]);
    if ((JSON.parse(stdout) as { status: string }).status === 'stopped') break;
  }
  await run(runtime, [...root, 'delete', id]);
}

function quietly(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${program} ${args.join(' ')} ended with ${code}`)),
    );
  });
}

/** What nobody shares, of all processes that are there only because a container runs: its supervisor. */
async function memory(folder: string, bundle: Prepared['bundle']): Promise<string[]> {
  const sleeping = withArgs(bundle, ['/bin/sleep', '1000']);
  const container = await Container.run({
    id: `bench-${process.pid}-sleep`,
    bundle: sleeping,
    stateRoot: join(folder, 'state'),
  });
  try {
    const stage = container.run?.pid ?? 0;
    return [
      '  what stays in memory while a container runs:',
      `  its supervisor (stage): ${privateKilobytes(stage)} KB private; under an engine nothing of Tare stays`,
    ];
  } finally {
    await container.delete({ force: true });
  }
}

function withArgs(bundle: Prepared['bundle'], args: string[]): Prepared['bundle'] {
  const { process } = bundle.config;
  if (!process) throw new Error('the bundle has no process');
  return { ...bundle, config: { ...bundle.config, process: { ...process, args } } };
}

function privateKilobytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return of('Private_Clean') + of('Private_Dirty');
}

/**
 * A create with none there, with a thousand, and with none again: what the machine does meanwhile, and whether it gets slower or
 * faster, is in the mean of the first and the last.
 */
async function amongMany(folder: string, bundle: Prepared['bundle']): Promise<string[]> {
  const crowd = join(folder, 'crowd');
  const sleeping = withArgs(bundle, ['/bin/sleep', '1000']);
  const containers: Container[] = [];
  mkdirSync(crowd);
  try {
    const bare = bareProgram(folder, bundle);
    const bareBefore = await medianOf(bare);
    const before = await creates(crowd, bundle, 'before');
    for (let i = 0; i < MANY; i++) {
      const container = await Container.run({ id: `many-${process.pid}-${i}`, bundle: sleeping, stateRoot: crowd });
      container.detach();
      containers.push(container);
    }
    const among = await creates(crowd, bundle, 'among');
    const bareAmong = await medianOf(bare);
    for (const container of containers.splice(0)) await container.delete({ force: true });
    const after = await creates(crowd, bundle, 'after');
    const alone = (before + after) / 2;
    return [
      `  create and delete: ${before.toFixed(2)} ms with no container, ${among.toFixed(2)} ms with ${MANY}, ${after.toFixed(2)} ms with none again`,
      `  the bare C program, which asks the kernel for the same: ${bareBefore.toFixed(2)} ms, then ${bareAmong.toFixed(2)} ms`,
      verdict(`with ${MANY} containers, of none`, among / alone, 1.2, 'x'),
      verdict('the same without what the kernel takes longer', (among - (bareAmong - bareBefore)) / alone, 1.2, 'x'),
    ];
  } finally {
    for (const container of containers) await container.delete({ force: true });
  }
}

/** A container of the bare C program: its cgroups are removed after the clock stops. */
function bareProgram(folder: string, bundle: Prepared['bundle']): Candidate {
  const { cgroup } = prepare({ id: `bare-${process.pid}`, bundle });
  const places = cgroup?.places ?? [];
  const exe = native.sealedMemfd('bare', readFileSync(buildBare(folder)));
  const directories = places.map(({ directory }) => directory);
  return {
    ...spawned('bare', exe, ['bare', bundle.rootfs, ...directories, '--', '/bin/true']),
    clean: () => removeCgroups(places),
  };
}

async function medianOf(candidate: Candidate): Promise<number> {
  const [measured] = await sideBySide([candidate], COMPARED);
  return median(measured?.times ?? []);
}

/** The median time of a create and its delete, in milliseconds. */
async function creates(stateRoot: string, bundle: Prepared['bundle'], name: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < COMPARED; i++) {
    const began = performance.now();
    const container = await Container.create({ id: `${name}-${process.pid}-${i}`, bundle, stateRoot });
    await container.delete({ force: true });
    times.push(performance.now() - began);
  }
  return median(times);
}
