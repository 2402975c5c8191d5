/** RUN as a step of a stage: what of it makes its key, and the container over the files so far. Failing, it says where in the Dockerfile, and why. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { TareError } from '../../kernel/error.js';
import type { Mount } from '../../oci/index.js';
import { mountOverlay } from '../snapshot/index.js';
import type { OverlayFolders } from '../types.js';
import { DEFAULT_SHELL, environment, type StageState } from './configure.js';
import type { StepInfo } from './events.js';
import type { FileStep } from './files.js';
import { type MountCircumstances, mountsKey, prepareMounts } from './mounts.js';
import type { RunInstruction, RunMount } from './parse/index.js';
import type { Source } from './parse/source.js';
import type { Network } from './run.js';
import type { Session } from './session.js';
import { findStubs, removeStubs } from './stubs.js';
import { PROXIES, type Values } from './variables.js';
import type { StepWork } from './work.js';

/** A RUN that failed: the build ends with 1, as docker's does. */
export class RunFailed extends TareError {
  /** The program's own exit code, 128+n for signal n. */
  readonly programCode: number;
  /** The end of what it has printed. */
  readonly output: string;

  constructor(message: string, programCode: number, output: string, path: string) {
    super('state', message, { path });
    this.programCode = programCode;
    this.output = output;
  }

  override get exitCode(): number {
    return 1;
  }
}

export interface RunStepOptions {
  readonly session: Session;
  readonly source: Source;
  readonly instruction: RunInstruction;
  readonly state: StageState;
  /** Expanded. */
  readonly mounts: readonly RunMount[];
  readonly where: MountCircumstances;
  /** By `--build-arg`: for the proxies among them. */
  readonly given: Values;
  readonly step: StepInfo;
}

/** @throws TareError with the place, for a mount that cannot be had; the step throws RunFailed */
export async function runStep(options: RunStepOptions): Promise<FileStep> {
  const { session, instruction, state, mounts, where } = options;
  const { config } = state;
  const network = networkOf(options);
  const key = {
    args: argsOf(options),
    script: instruction.command.form === 'script' ? instruction.command.text : undefined,
    // In any order: it is one environment.
    env: Object.fromEntries(environmentOf(options)),
    cwd: config.WorkingDir ?? '/',
    user: config.User ?? '',
    network,
    hosts: session.hosts.length > 0 ? [...session.hosts] : undefined,
    mounts: await mountsKey(mounts, where),
    machine: `${session.platform.os}/${session.platform.architecture}`,
  };
  return { kind: 'run', key, work: (root, work) => perform(options, network, root, work) };
}

/** As the history has it: the variables that it had of ARG, and the command. */
export function runCreatedBy(options: Pick<RunStepOptions, 'instruction' | 'state'>): string {
  const { args } = options.state;
  const said = [...args].map(([name, value]) => `${name}=${value}`);
  return ['RUN', ...(said.length > 0 ? [`|${said.length}`, ...said] : []), ...argsOf(options)].join(' ');
}

/** `default` is what the build was told; that is `none` unless told. */
function networkOf({ instruction: { network, at }, session, source }: RunStepOptions): Network {
  if (network === 'default') return session.network;
  if (network === 'host' && !session.allowHostNetwork && session.network !== 'host')
    throw source.error(at, "this RUN wants the host's network: allow it with --allow network.host", {
      code: 'permission',
    });
  return network;
}

/** Where a script lies in the container, while it runs. */
const SCRIPTS = '/dev/pipes';

function argsOf({ instruction, state }: Pick<RunStepOptions, 'instruction' | 'state'>): string[] {
  const { command } = instruction;
  if (command.form === 'exec') return [...command.args];
  if (command.form === 'script') return [`${SCRIPTS}/${command.name}`];
  return [...(state.config.Shell ?? DEFAULT_SHELL), command.text];
}

/** ENV wins over ARG. */
function environmentOf({ state }: RunStepOptions): Map<string, string> {
  return new Map([...state.args, ...environment(state.config.Env ?? [])]);
}

async function perform(options: RunStepOptions, network: Network, root: OverlayFolders, work: StepWork): Promise<void> {
  const { session, state, step } = options;
  // Loaded only when it is needed.
  const [{ homeOf, PATH, userOf }, { runCommand }] = await Promise.all([
    import('../../container/index.js'),
    import('./run.js'),
  ]);
  using lower = await mountOverlay({ lower: root.lower });
  const tree = `/proc/self/fd/${lower.fd}`;
  const user = userOf(tree, state.config.User ?? '');
  using prepared = await prepareMounts(options.mounts, work.folder, options.where);
  const mounts = [...prepared.mounts, ...scriptMount(options, work.folder)];
  const stubs = findStubs(lower.fd, [...mountPoints(network), ...mounts.map(({ destination }) => destination)]);
  const env = new Map([...proxies(options), ...environmentOf(options)]);
  if (!env.has('PATH')) env.set('PATH', PATH.slice('PATH='.length));
  if (!env.get('HOME')) env.set('HOME', homeOf(tree, user.uid));
  const tail = new Tail();
  const { code, signal } = await runCommand({
    root,
    work,
    args: argsOf(options),
    env: [...[...env].map(([name, value]) => `${name}=${value}`), ...prepared.env],
    cwd: posix.resolve('/', state.config.WorkingDir ?? '/'),
    user,
    mounts,
    network,
    hosts: session.hosts,
    onOutput: (data) => {
      tail.add(data);
      session.steps.tell({ kind: 'output', step, data });
    },
    signal: session.signal,
  });
  if (code !== 0) throw failed(options, code, signal, tail);
  removeStubs(lower.fd, root.upper as string, stubs);
}

/** What a container has by itself, and what comes with the network. */
function mountPoints(network: Network): string[] {
  return ['/proc', '/dev', '/sys', '/etc/hosts', ...(network === 'host' ? ['/etc/resolv.conf'] : [])];
}

function proxies({ given }: RunStepOptions): [string, string][] {
  return PROXIES.flatMap((name) => {
    // By one of the two ways in which programs look for it.
    const value = given.get(name) ?? given.get(otherCase(name));
    return value === undefined ? [] : [[name, value] as [string, string]];
  });
}

function otherCase(name: string): string {
  return name === name.toUpperCase() ? name.toLowerCase() : name.toUpperCase();
}

/** A here-document that names its interpreter is a file. */
function scriptMount({ instruction: { command } }: RunStepOptions, folder: string): Mount[] {
  if (command.form !== 'script') return [];
  const path = join(folder, 'script');
  writeFileSync(path, command.text);
  chmodSync(path, 0o755);
  return [
    { destination: `${SCRIPTS}/${command.name}`, type: 'bind', source: path, options: ['bind', 'ro', 'rprivate'] },
  ];
}

function failed(
  { source, instruction }: RunStepOptions,
  code: number,
  signal: number | undefined,
  tail: Tail,
): RunFailed {
  const how = signal === undefined ? `exit code ${code}` : `signal ${signal} (exit code ${code})`;
  const { message, path } = source.error(instruction.at, `RUN failed with ${how}`);
  return new RunFailed(message, code, tail.text, path ?? '');
}

/** The last bytes of a stream. */
class Tail {
  #chunks: Uint8Array[] = [];
  #length = 0;

  add(data: Uint8Array): void {
    this.#chunks.push(data);
    this.#length += data.length;
    while (this.#length - (this.#chunks[0]?.length ?? 0) > MAX_TAIL) this.#length -= this.#chunks.shift()?.length ?? 0;
  }

  get text(): string {
    return Buffer.concat(this.#chunks).subarray(-MAX_TAIL).toString();
  }
}

const MAX_TAIL = 16 * 1024;
