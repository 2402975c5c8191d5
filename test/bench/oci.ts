/**
 * Tare in runc's place. The same bundle is created, started, waited for and deleted: by Tare from a warm Node process, as a library; by
 * runc, which has a process for each command; and by `tare-oci` in its own processes, as an engine calls it; then in one command from a
 * cold start, `tare-oci run` and `runc run`. And what stays in memory while a container runs.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Container, type Prepared } from '../../runtime/container/index.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import { bundleFor, makeRootfs } from './container.js';
import { type Candidate, ratio, sideBySide, table, verdict } from './measure.js';

const ROUNDS = 40;

const run = promisify(execFile);

export async function bench(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-bench-oci-'));
  try {
    const bundle = ociBundle(folder);
    const times = await lifecycles(folder, bundle);
    return [...times, ...(await cold(folder)), ...(await memory(folder, bundle))].join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A bundle on disk, for runtimes that read one. */
export function ociBundle(folder: string): Prepared['bundle'] {
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
    verdict('the time of Tare from a warm process, as a part of runc’s', ratio(warm, runc), 1, 'x'),
  ];
}

/** The whole life in one command, each in a new process: as a person types it. */
async function cold(folder: string): Promise<string[]> {
  const running = (name: string, program: string): Candidate => {
    const id = `bench-${process.pid}-${name}`;
    return {
      name: `${name} run`,
      run: () => quietly(program, ['--root', join(folder, 'oci'), 'run', '--bundle', folder, id]),
    };
  };
  const candidates = [running('tare-oci', join(packageRoot(), 'dist/bin/tare-oci')), running('runc', 'runc')];
  return ['  the same in one command, from a cold start:', table(await sideBySide(candidates, ROUNDS))];
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

export function quietly(program: string, args: readonly string[]): Promise<void> {
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

export function withArgs(bundle: Prepared['bundle'], args: string[]): Prepared['bundle'] {
  const { process } = bundle.config;
  if (!process) throw new Error('the bundle has no process');
  return { ...bundle, config: { ...bundle.config, process: { ...process, args } } };
}

function privateKilobytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return of('Private_Clean') + of('Private_Dirty');
}
