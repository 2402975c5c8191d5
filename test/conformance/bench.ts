/**
 * Where a runtime is tried: a world whose process 1 tells how every orphan ended, so that a container that outlives its
 * runtime can be waited for. Commands get files as their output, since a container that stays holds what it inherited.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { packageRoot } from '../../runtime/kernel/places.js';
import { makeRootfs } from '../harness/rootfs.js';
import { makeWorld, type Ran, type World } from '../harness/world.js';
import { PATIENCE_MS } from './until.js';

export interface Runtime {
  /** As differences.ts knows it: the last part of its path. */
  readonly name: string;
  readonly path: string;
}

export interface RunOptions {
  /** Text, or a descriptor. */
  readonly stdin?: string | number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Descriptors that it gets as 3, 4, ... */
  readonly fds?: readonly number[];
  /** Becomes this user first. */
  readonly uid?: number;
  /** Killed after so long; PATIENCE_MS unless told. */
  readonly timeoutMs?: number;
}

/** A command that has been started. */
export interface Running {
  /** Of its nsenter, outside the world. */
  readonly pid: number;
  readonly ended: Promise<Ran>;
  /** Its output until now. */
  said(): string;
  kill(signal: NodeJS.Signals): void;
}

/** $RUNTIME, or the tare-oci of this tree. */
export function chosenRuntime(path = process.env.RUNTIME || join(packageRoot(), 'dist/bin/tare-oci')): Runtime {
  const found = path.includes('/') ? resolve(path) : which(path);
  if (!existsSync(found)) throw new Error(`no runtime ${path}: build it, or set RUNTIME to the path of another`);
  return { path: found, name: found.replace(/.*\//, '') };
}

export class Bench {
  #count = 0;
  readonly #ends = new Map<number, number>();
  readonly #waiting = new Map<number, (status: number) => void>();

  private constructor(
    readonly runtime: Runtime,
    readonly world: World,
  ) {}

  static async open(runtime: Runtime, name: string): Promise<Bench> {
    let bench: Bench | undefined;
    const programs = mkdtempSync(join(tmpdir(), 'tare-keeper-'));
    const world = await makeWorld(name, {
      keeper: [buildKeeper(programs)],
      onLine: (line) => bench?.ended(line.split(' ').map(Number) as [number, number]),
    }).finally(() => rmSync(programs, { recursive: true }));
    chmodSync(world.folder, 0o755);
    makeRootfs(join(world.folder, 'template'));
    bench = new Bench(runtime, world);
    return bench;
  }

  /** The directory of the containers' states: --root. */
  get root(): string {
    return join(this.world.folder, 'state');
  }

  /** The next number: for names that nobody else has. */
  next(): number {
    return ++this.#count;
  }

  /** A new empty folder that everybody may read. */
  folder(): string {
    const path = join(this.world.folder, 'tmp', `f${this.next()}`);
    mkdirSync(path);
    return path;
  }

  /** The runtime with these words after its global options. */
  oci(words: readonly string[], options?: RunOptions): Promise<Ran> {
    return this.run([this.runtime.path, '--root', this.root, ...words], options);
  }

  run(argv: readonly string[], options?: RunOptions): Promise<Ran> {
    return this.start(argv, options).ended;
  }

  /** Its end is an error when that takes too long. */
  start(
    argv: readonly string[],
    { stdin = '', env, cwd, fds = [], uid, timeoutMs = PATIENCE_MS }: RunOptions = {},
  ): Running {
    const files = join(this.world.folder, 'tmp', `o${this.next()}`);
    if (typeof stdin === 'string') writeFileSync(`${files}.in`, stdin);
    const opened = [openSync(`${files}.out`, 'w', 0o666), openSync(`${files}.err`, 'w', 0o666)];
    if (typeof stdin === 'string') opened.unshift(openSync(`${files}.in`, 'r'));
    const stdio = [...(typeof stdin === 'string' ? [] : [stdin]), ...opened, ...fds];
    const user = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    // nsenter puts itself into the world's root directory.
    const folder = cwd === undefined ? [] : ['env', '-C', cwd];
    const child = this.world.start([...folder, ...user, ...argv], { env, stdio });
    for (const fd of opened) closeSync(fd);
    const wrote = () => ({
      stdout: readFileSync(`${files}.out`, 'utf8'),
      stderr: readFileSync(`${files}.err`, 'utf8'),
    });
    const ended = new Promise<Ran>((done, failed) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        child.kill('SIGKILL');
        const { stdout, stderr } = wrote();
        failed(new Error(`no end after ${timeoutMs / 1000} s: ${argv.join(' ')}; it wrote: ${stdout}${stderr}`));
      }, timeoutMs);
      child.on('error', failed);
      child.on('exit', (code, signal) => {
        clearTimeout(timer);
        if (!late) done({ status: code ?? 128 + (signal === 'SIGKILL' ? 9 : 15), ...wrote() });
      });
    });
    // A case that fails earlier waits for it no more.
    ended.catch(() => undefined);
    return { pid: child.pid as number, ended, said: () => wrote().stdout, kill: (signal) => child.kill(signal) };
  }

  /** The exit status of a process whose parent has gone, as an engine's subreaper learns it. `pid` is the world's number. */
  exitOf(pid: number): Promise<number> {
    const known = this.#ends.get(pid);
    // Numbers come again: one that is there now is not the one that ended.
    if (known !== undefined && !existsSync(this.inside(`/proc/${pid}`))) return Promise.resolve(known);
    return new Promise((done, failed) => {
      const timer = setTimeout(
        () => failed(new Error(`process ${pid} has not ended after ${PATIENCE_MS / 1000} s`)),
        PATIENCE_MS,
      );
      this.#waiting.set(pid, (status) => {
        clearTimeout(timer);
        done(status);
      });
    });
  }

  /** A file of /proc/PID as it is seen in the world. */
  proc(pid: number, file: string): string {
    return readFileSync(`/proc/${this.world.pid}/root/proc/${pid}/${file}`, 'utf8');
  }

  /** What /proc/PID/ns/TYPE links to. */
  namespace(pid: number, type: string): string {
    return readlinkSync(`/proc/${this.world.pid}/root/proc/${pid}/ns/${type}`);
  }

  /** A path of the world's mount namespace, for this process. */
  inside(path: string): string {
    return `/proc/${this.world.pid}/root${path}`;
  }

  /** Mounts, processes, cgroups and network devices that there were not when it was opened. */
  leftovers(): Promise<string[]> {
    return this.world.leaks(undefined, { counts: (thing) => !thing.startsWith('file ') });
  }

  close(): Promise<void> {
    return this.world.close();
  }

  private ended([pid, status]: [number, number]): void {
    this.#ends.set(pid, status);
    this.#waiting.get(pid)?.(status);
    this.#waiting.delete(pid);
  }
}

/** Compiles the keeper into `folder`; where there is one already, in a machine that would take long to compile it, that is $CONFORMANCE_KEEPER. */
export function buildKeeper(folder: string, flags: readonly string[] = []): string {
  if (process.env.CONFORMANCE_KEEPER) return process.env.CONFORMANCE_KEEPER;
  const path = join(folder, 'keeper');
  const source = join(packageRoot(), 'test/conformance/keeper.c');
  const { status, stderr, error } = spawnSync('cc', ['-Wall', '-O1', ...flags, '-o', path, source], {
    encoding: 'utf8',
  });
  if (status !== 0) throw error ?? new Error(stderr);
  return path;
}

function which(name: string): string {
  const folders = `${process.env.PATH}:/usr/sbin:/sbin`.split(':');
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? name;
}
