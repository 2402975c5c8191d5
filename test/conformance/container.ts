/**
 * A container under test: its bundle, its id, and the runtime's commands on it. Nothing here knows which runtime it is; what
 * it says is read from its exit status, its output and the state of `runtime state`, and from /proc.
 */
import { equal } from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ran } from '../harness/world.js';
import type { Bench, Running, RunOptions } from './bench.js';
import { baseConfig, type TestConfig } from './config.js';

export interface ContainerOptions {
  readonly id?: string;
  /** Global options, between the runtime and the command. */
  readonly globals?: readonly string[];
  /** --root, where the bench's own would have other cases' containers in it. */
  readonly root?: string;
  /** Commands are run by this user. */
  readonly uid?: number;
}

/** What `runtime state` prints: state.json of the specification, and what runc adds. */
export interface State {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: string;
  readonly pid: number;
  readonly bundle: string;
  readonly annotations?: Record<string, string>;
  readonly created?: string;
  readonly owner?: string;
}

export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly config: TestConfig;
  #saved = false;

  constructor(
    readonly bench: Bench,
    edit: (config: TestConfig) => void = () => undefined,
    readonly options: ContainerOptions = {},
  ) {
    const number = bench.next();
    this.id = options.id ?? `c${number}`;
    this.bundle = join(bench.world.folder, `b${number}`);
    mkdirSync(this.bundle);
    cpSync(join(bench.world.folder, 'template'), this.rootfs, { recursive: true, verbatimSymlinks: true });
    chmodSync(this.rootfs, 0o755);
    this.config = baseConfig(`${bench.world.cgroup}/${this.id}`);
    edit(this.config);
  }

  get rootfs(): string {
    return join(this.bundle, 'rootfs');
  }

  get root(): string {
    return this.options.root ?? this.bench.root;
  }

  /** Writes config.json, if it has not been written: the config may be changed until the first command. */
  save(text = JSON.stringify(this.config)): void {
    if (!this.#saved) writeFileSync(join(this.bundle, 'config.json'), text);
    this.#saved = true;
  }

  oci(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.begin(words, options).ended;
  }

  /** The same, without waiting for its end. */
  begin(words: readonly string[], options: RunOptions = {}): Running {
    const { runtime } = this.bench;
    const argv = [runtime.path, '--root', this.root, ...(this.options.globals ?? []), ...words];
    return this.bench.start(argv, { uid: this.options.uid, ...options });
  }

  create(flags: readonly string[] = [], options?: RunOptions): Promise<Ran> {
    this.save();
    return this.oci(['create', '--bundle', this.bundle, ...flags, this.id], options);
  }

  start(): Promise<Ran> {
    return this.oci(['start', this.id]);
  }

  run(flags: readonly string[] = [], options?: RunOptions): Promise<Ran> {
    this.save();
    return this.oci(['run', '--bundle', this.bundle, ...flags, this.id], options);
  }

  kill(...words: readonly string[]): Promise<Ran> {
    return this.oci(['kill', this.id, ...words]);
  }

  delete(...flags: readonly string[]): Promise<Ran> {
    return this.oci(['delete', ...flags, this.id]);
  }

  exec(flags: readonly string[], args: readonly string[] = [], options?: RunOptions): Promise<Ran> {
    return this.oci(['exec', ...flags, this.id, ...args], options);
  }

  /** One script in the running container; fails unless it ends with 0. */
  async execSh(script: string, ...flags: readonly string[]): Promise<string> {
    return ok(await this.exec(flags, ['sh', '-c', script]));
  }

  /** Made and left running. */
  async up(): Promise<this> {
    ok(await this.run(['-d']));
    return this;
  }

  async state(): Promise<State> {
    return JSON.parse(ok(await this.oci(['state', this.id]))) as State;
  }

  /** Of the container's process 1, as the world numbers it. */
  async pid(): Promise<number> {
    return (await this.state()).pid;
  }

  async status(): Promise<string> {
    return (await this.state()).status;
  }

  /** Kills it and waits for its end. */
  async end(): Promise<void> {
    const pid = await this.pid();
    ok(await this.kill('KILL'));
    equal(await this.bench.exitOf(pid), 137);
  }

  /** A file that the container wrote, by its path in the rootfs. */
  read(path: string): string {
    return readFileSync(join(this.rootfs, path), 'utf8');
  }

  /** Whatever became of it, it is gone afterwards. */
  async remove(): Promise<void> {
    if (existsSync(join(this.root, this.id))) {
      const ran = await this.oci(['delete', '--force', this.id], { uid: undefined });
      if (existsSync(join(this.root, this.id)))
        throw new Error(`delete --force left the container's state: ${ran.stderr}`);
    }
    rmSync(this.bundle, { recursive: true, force: true });
  }
}

/** What a command wrote that must have ended well. */
export function ok(ran: Ran): string {
  if (ran.status !== 0) throw new Error(`exit code ${ran.status}: ${ran.stderr || ran.stdout}`);
  return ran.stdout;
}

/** What a command said that must have been refused. */
export function refused(ran: Ran, why?: RegExp): string {
  if (ran.status === 0) throw new Error(`this was not refused; it wrote: ${ran.stdout}${ran.stderr}`);
  if (why && !why.test(ran.stderr)) throw new Error(`refused for another reason than ${why}: ${ran.stderr}`);
  return ran.stderr;
}

/** What runtimes say of a container that there is not. */
export const NOT_THERE = /does not exist|no such file/i;
