/**
 * RUN: a command in a Tare container over the layers so far. It has what a container of `tare run` has and no more: the default capabilities, the
 * system call filter, namespaces of its own. What it prints is passed on while it prints it; the end of it, for who asks why it failed.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { Container, defaultConfig } from '../../container/index.js';
import { native } from '../../kernel/addon.js';
import { TareError } from '../../kernel/error.js';
import { stateRoot } from '../../kernel/places.js';
import { SIGKILL } from '../../kernel/signals.js';
import { hasOneUser } from '../../kernel/user-namespace.js';
import { type Bundle, type Config, type Mount, type User, validConfig } from '../../oci/index.js';
import type { OverlayFolders } from '../types.js';
import type { StepWork } from './work.js';

export interface RunOptions {
  readonly root: OverlayFolders;
  readonly work: StepWork;
  readonly args: readonly string[];
  /** `NAME=value`, HOME among them. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: User;
  readonly mounts: readonly Mount[];
  readonly network: Network;
  /** Further lines of /etc/hosts. */
  readonly hosts: readonly string[];
  readonly hostname?: string;
  readonly onOutput: (data: Uint8Array) => void;
  readonly signal?: AbortSignal;
}

/** `none`: a network of its own, in which there is nothing but itself. `host`: that of this machine. */
export type Network = 'none' | 'host';

/** How a program ended that was to succeed. */
export interface RunResult {
  readonly code: number;
  readonly signal?: number;
}

/** Runs it to its end; the container is gone then. @throws the signal's reason, and TareError where the container cannot be made */
export async function runCommand(options: RunOptions): Promise<RunResult> {
  const { work, signal } = options;
  signal?.throwIfAborted();
  const id = `build-${randomBytes(8).toString('hex')}`;
  const bundle = bundleOf(options);
  const state = stateRoot();
  work.announce({ id, stateRoot: state });
  const output = new Output(options.onOutput);
  let container: Container | undefined;
  const kill = () => container && killQuietly(container);
  signal?.addEventListener('abort', kill);
  const input = openSync('/dev/null', 'r');
  try {
    container = await Container.run({
      id,
      bundle,
      stateRoot: state,
      stdio: [input, output.writeEnd, output.writeEnd],
      autoRemove: true,
    });
    output.closeWriteEnd();
    // It came while the container was being made.
    if (signal?.aborted) killQuietly(container);
    const ended = await container.wait();
    await output.end;
    signal?.throwIfAborted();
    return ended;
  } catch (error) {
    const missing = codeOfMissing(error);
    if (missing === undefined) throw error;
    options.onOutput(Buffer.from(`${(error as Error).message}\n`));
    return { code: missing };
  } finally {
    closeSync(input);
    signal?.removeEventListener('abort', kill);
    output.close();
    await container?.delete({ force: true });
  }
}

/** A shell, or a program, that the image does not have: what a shell would have ended with. */
function codeOfMissing(error: unknown): number | undefined {
  if (!(error instanceof TareError)) return undefined;
  return error.code === 'command-not-found' || error.code === 'command-not-executable' ? error.exitCode : undefined;
}

function bundleOf({ root, work, network, user, hostname = 'build', hosts, ...options }: RunOptions): Bundle {
  const rootfs = join(work.folder, 'root');
  mkdirSync(rootfs, { mode: 0o755 });
  const config = defaultConfig({
    rootfs,
    args: options.args,
    env: options.env,
    cwd: options.cwd,
    hostname,
    user,
    mounts: [...networkFiles(network, work.folder, hostname, hosts), ...options.mounts],
    caller: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, oneUser: hasOneUser() },
  });
  const withNetwork = network === 'host' ? withoutNamespace(config) : config;
  const withUser: Config = {
    ...withNetwork,
    process: { ...(withNetwork.process as NonNullable<Config['process']>), user },
  };
  return { path: work.folder, rootfs, overlay: root, config: validConfig(withUser, 'the container of RUN') };
}

function withoutNamespace(config: Config): Config {
  const namespaces = config.linux?.namespaces?.filter(({ type }) => type !== 'network');
  return { ...config, linux: { ...config.linux, namespaces } };
}

/** With the network come the names in it; what a RUN writes to its own /etc/hosts is lost, as with docker. */
function networkFiles(network: Network, folder: string, hostname: string, hosts: readonly string[]): Mount[] {
  const isHost = network === 'host';
  const resolver = isHost ? [bind('/etc/resolv.conf', '/etc/resolv.conf', 'ro')] : [];
  if (isHost && hosts.length === 0) return [...resolver, bind('/etc/hosts', '/etc/hosts', 'ro')];
  const own = [`127.0.0.1 localhost ${hostname}`, '::1 localhost ip6-localhost ip6-loopback'];
  const first = isHost && existsSync('/etc/hosts') ? readFileSync('/etc/hosts', 'utf8').trimEnd() : own.join('\n');
  const path = join(folder, 'hosts');
  writeFileSync(path, `${[first, ...hosts].join('\n')}\n`);
  // The mask of this process has no say: any user of the image reads it.
  chmodSync(path, 0o644);
  return [...resolver, bind(path, '/etc/hosts', 'rw')];
}

function bind(source: string, destination: string, access: 'ro' | 'rw'): Mount {
  return { destination, type: 'bind', source, options: ['bind', access, 'rprivate'] };
}

function killQuietly(container: Container): void {
  try {
    container.kill(SIGKILL);
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof TareError && (error.code === 'state' || error.code === 'not-found'))) throw error;
  }
}

/** A pipe that a container writes to. Read only as fast as it is taken. */
class Output {
  readonly end: Promise<void>;
  readonly #socket: Socket;
  #writeEnd: number | undefined;

  constructor(onData: (data: Uint8Array) => void) {
    const [read, write] = native.pipe();
    this.#writeEnd = write;
    this.#socket = new Socket({ fd: read, readable: true, writable: false });
    this.#socket.on('data', onData);
    this.end = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    // What cannot be read has ended.
    this.#socket.on('error', () => this.#socket.destroy());
  }

  get writeEnd(): number {
    if (this.#writeEnd === undefined) throw new TareError('internal', 'the pipe is closed');
    return this.#writeEnd;
  }

  /** The container has its own: the pipe ends with it. */
  closeWriteEnd(): void {
    if (this.#writeEnd !== undefined) native.close(this.#writeEnd);
    this.#writeEnd = undefined;
  }

  close(): void {
    this.closeWriteEnd();
    this.#socket.destroy();
  }
}
