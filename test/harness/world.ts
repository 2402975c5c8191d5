/**
 * A world: mount, pid and network namespaces, a cgroup subtree, state and data roots and a temporary folder of its own, in
 * which a system test runs commands. The leak check compares only what is in the world, so that test files run side by side
 * and a machine's own life does not disturb them. A world ends with the process that made it (its keeper reads our pipe).
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../runtime/kernel/places.js';
import { cgroupHierarchies, LIMIT_MS, makeCgroup, removeCgroup } from './world-cgroups.js';
import { type Contents, contentsOf, difference } from './world-contents.js';

export interface Ran {
  /** The exit status, or 128+n for a signal. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Killed after so long; 150 s unless told. */
  readonly timeoutMs?: number;
}

export interface WorldOptions {
  /** The world's process 1, instead of one that reaps nobody: it writes a line, then lives until its input ends. */
  readonly keeper?: readonly string[];
  /** Gets each further line that the keeper writes. */
  readonly onLine?: (line: string) => void;
}

export interface World {
  /** Temporary folder: `tmp/`, `state/` and `root/` within are TMPDIR, TARE_STATE and TARE_ROOT of what runs here. */
  readonly folder: string;
  /** The cgroup below which Tare makes its own, in every hierarchy: TARE_CGROUP_PARENT. */
  readonly cgroup: string;
  /** Host pid of the world's process 1. */
  readonly pid: number;
  /** The environment that commands get. */
  readonly env: Readonly<Record<string, string>>;
  run(argv: readonly string[], options?: RunOptions): Promise<Ran>;
  /** dist/bin/tare with these arguments. */
  tare(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Starts a command and leaves it running; the caller ends it. */
  start(argv: readonly string[], options?: RunOptions & { readonly stdio?: StdioOptions }): ChildProcess;
  contents(): Contents;
  /**
   * What is there now and was not at `before` (the world's beginning unless told), and counts: one line each. Waits for that to become
   * nothing, `waitMs` (30 s unless told) where something has leaked.
   */
  leaks(before?: Contents, options?: { counts?(thing: string): boolean; waitMs?: number }): Promise<string[]>;
  close(): Promise<void>;
}

export async function makeWorld(name: string, worldOptions: WorldOptions = {}): Promise<World> {
  const id = `tare-test-${name}-${randomBytes(4).toString('hex')}`;
  const folder = mkdtempSync(join(tmpdir(), `${id}-`));
  for (const part of ['tmp', 'state', 'root']) mkdirSync(join(folder, part), { mode: 0o755 });
  // Who made it is in its name, so that what a killed run has left can be told from what is in use: cgroup-parents.ts.
  const cgroup = `/${id.replace(/-(?=[^-]*$)/, `-${process.pid}-`)}`;
  const hierarchies = cgroupHierarchies();
  for (const hierarchy of hierarchies) makeCgroup(join(hierarchy, cgroup));

  const keeper = spawn(
    'unshare',
    [
      '--mount',
      '--pid',
      '--net',
      '--fork',
      '--kill-child',
      '--mount-proc',
      '--propagation',
      'private',
      ...(worldOptions.keeper ?? ['sh', '-c', 'echo ready; exec cat']),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await ready(keeper);
  if (worldOptions.onLine) createInterface(keeper.stdout).on('line', worldOptions.onLine);
  const pid = firstChild(keeper.pid as number);
  const env = {
    PATH: `${join(packageRoot(), 'dist/bin')}:${process.env.PATH}`,
    HOME: '/root',
    TERM: 'xterm',
    LANG: 'C.UTF-8',
    TMPDIR: join(folder, 'tmp'),
    TARE_STATE: join(folder, 'state'),
    TARE_ROOT: join(folder, 'root'),
    TARE_CGROUP_PARENT: cgroup,
  };

  const contents = () => contentsOf({ pid, folder, cgroups: hierarchies.map((h) => join(h, cgroup)) });
  const begun = contents();

  const start: World['start'] = (argv, options = {}) =>
    spawn('nsenter', ['-t', String(pid), '-m', '-p', '-n', '--', ...argv], {
      cwd: options.cwd ?? folder,
      env: { ...env, ...options.env },
      stdio: options.stdio ?? ['pipe', 'pipe', 'pipe'],
    });

  const run = (argv: readonly string[], options: RunOptions = {}): Promise<Ran> =>
    new Promise((resolve, reject) => {
      const child = start(argv, options);
      const { timeoutMs = 150_000 } = options;
      let stdout = '';
      let stderr = '';
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`${argv.join(' ')}: no end after ${timeoutMs} ms; it wrote: ${stdout}${stderr}`));
      }, timeoutMs);
      child.stdout?.setEncoding('utf8').on('data', (text) => {
        stdout += text;
      });
      child.stderr?.setEncoding('utf8').on('data', (text) => {
        stderr += text;
      });
      child.stdin?.on('error', () => child.stdin?.destroy()); // the command did not read its input
      child.stdin?.end(options.stdin ?? '');
      child.on('error', reject);
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        resolve({ status: code ?? 128 + signalNumber(signal), stdout, stderr });
      });
    });

  return {
    folder,
    cgroup,
    pid,
    env,
    run,
    tare: (args, options) => run([process.execPath, join(packageRoot(), 'dist/bin/tare'), ...args], options),
    start,
    contents,
    leaks: async (before = begun, { counts = () => true, waitMs = LIMIT_MS } = {}) => {
      const deadline = Date.now() + waitMs;
      for (;;) {
        const found = difference(before, contents()).filter(counts);
        if (found.length === 0 || Date.now() > deadline) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    close: async () => {
      const gone = new Promise((resolve) => keeper.once('exit', resolve));
      keeper.kill('SIGKILL');
      await gone;
      for (const hierarchy of hierarchies) await removeCgroup(join(hierarchy, cgroup));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Makes a world, runs the test in it, fails it when something is left behind, and ends the world whatever happened. */
export async function inWorld(name: string, test: (world: World) => Promise<void>): Promise<void> {
  const world = await makeWorld(name);
  try {
    await test(world);
    const left = await world.leaks();
    if (left.length > 0) throw new Error(`left behind:\n  ${left.join('\n  ')}`);
  } finally {
    await world.close();
  }
}

function ready(keeper: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    keeper.stdout?.once('data', () => resolve());
    keeper.once('error', reject);
    keeper.once('exit', (code) =>
      reject(new Error(`unshare ended with exit code ${code}: a world needs root and util-linux`)),
    );
  });
}

function firstChild(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}

function signalNumber(signal: NodeJS.Signals | null): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = {
    SIGHUP: 1,
    SIGINT: 2,
    SIGQUIT: 3,
    SIGABRT: 6,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGTERM: 15,
  };
  return signal === null ? 0 : (numbers[signal] ?? 0);
}
