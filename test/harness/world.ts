/**
 * A world: mount, pid and network namespaces, a cgroup subtree, state and data roots and a temporary folder of its own, in
 * which a system test runs commands. The leak check compares only what is in the world, so that test files run side by side
 * and a machine's own life does not disturb them. A world ends with the process that made it (its keeper reads our pipe).
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  type Dirent,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../runtime/kernel/places.js';

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

/** What a world holds at one moment; two of them are compared. */
export interface Contents {
  readonly mounts: readonly string[];
  readonly processes: readonly string[];
  readonly cgroups: readonly string[];
  readonly links: readonly string[];
  readonly files: readonly string[];
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

const CGROUPS = '/sys/fs/cgroup';

/** For what ends by itself: a busy machine takes its time. */
const LIMIT_MS = 30_000;

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

  const contents = (): Contents => ({
    mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => mountOf(line))
      .sort(),
    processes: processesIn(pid),
    cgroups: hierarchies.flatMap((h) => foldersBelow(join(h, cgroup)).map((path) => relative(CGROUPS, path))),
    links: readFileSync(`/proc/${pid}/net/dev`, 'utf8')
      .split('\n')
      .slice(2)
      .filter(Boolean)
      .map((line) => (line.split(':')[0] as string).trim()),
    files: ['tmp', 'state', 'root'].flatMap((part) =>
      filesBelow(join(folder, part)).map((path) => relative(folder, path)),
    ),
  });
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

/** Where cgroups are mounted: each v1 hierarchy and cgroup2. */
export function cgroupHierarchies(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] as string)
    .filter((path) => path.startsWith(CGROUPS));
}

function makeCgroup(path: string): void {
  mkdirSync(path, { recursive: true });
  // A new cpuset cgroup takes no process until it has processors and memory nodes.
  const parent = join(path, '..');
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (existsSync(join(path, file)) && existsSync(join(parent, file)))
      writeFileSync(join(path, file), readFileSync(join(parent, file)));
  }
}

async function removeCgroup(path: string): Promise<void> {
  for (const folder of foldersBelow(path).reverse().concat(path)) {
    for (const deadline = Date.now() + LIMIT_MS; existsSync(folder); ) {
      try {
        rmdirSync(folder);
      } catch (error) {
        if (Date.now() > deadline) throw error; // the kernel says EBUSY until the last process is gone for good
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
  }
}

function mountOf(line: string): string {
  const [left, right] = line.split(' - ') as [string, string];
  return `mount ${left.split(' ')[4]} (${right.split(' ')[0]})`;
}

/** Processes of the world's pid namespace and of those below it, without process 1. */
function processesIn(keeper: number): string[] {
  const inside = readlinkSync(`/proc/${keeper}/ns/pid`);
  const found: string[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === keeper) continue;
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      const chain = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
      if (chain.length < 2) continue;
      // The keeper reaps nobody: an orphan that has ended stays as its zombie, and is nobody's leak.
      if (/^State:\s+Z/m.test(status) && new RegExp(`^PPid:\\s+${keeper}$`, 'm').test(status)) continue;
      if (readlinkSync(`/proc/${name}/ns/pid`) === inside || descendsFrom(Number(name), keeper)) {
        found.push(`process ${name} ${readFileSync(`/proc/${name}/comm`, 'utf8').trim()}`);
      }
    } catch (error) {
      if (!['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error; // it has just ended
    }
  }
  return found;
}

function descendsFrom(pid: number, ancestor: number): boolean {
  for (let at = pid; at > 1; ) {
    if (at === ancestor) return true;
    at = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${at}/status`, 'utf8'))?.[1] ?? 0);
  }
  return false;
}

function foldersBelow(path: string): string[] {
  return entriesOf(path)
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(path, entry.name), ...foldersBelow(join(path, entry.name))]);
}

function filesBelow(path: string): string[] {
  return entriesOf(path).flatMap((entry) => {
    const full = join(path, entry.name);
    return entry.isDirectory() ? [full, ...filesBelow(full)] : [full];
  });
}

/** None of a folder that has gone, perhaps just now: as the state of a container that has ended does. */
function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function difference(before: Contents, after: Contents): string[] {
  return (Object.keys(after) as (keyof Contents)[]).flatMap((kind) => {
    const known = [...before[kind]];
    return after[kind]
      .filter((item) => {
        const at = known.indexOf(item);
        if (at >= 0) known.splice(at, 1);
        return at < 0;
      })
      .map((item) => (kind === 'mounts' || kind === 'processes' ? item : `${kind.slice(0, -1)} ${item}`));
  });
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
