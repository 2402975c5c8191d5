/**
 * `tare run`: creates a container, starts it, waits, and removes it. In the foreground: it has our standard streams, or a
 * terminal that we proxy; our signals are its signals; its exit code is ours (128+n for a signal).
 */
import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { Container, type CreateOptions } from '../container/index.js';
import { TareError } from '../kernel/error.js';
import { CREATE } from '../plan/index.js';
import { addContainerOptions, type ContainerOptions } from './container-options.js';
import { describeContainer, isOfImage } from './image-container.js';
import { inOwnUserNamespace } from './own-users.js';
import { warn } from './report-error.js';
import { SignalForwarder } from './signal-forwarder.js';
import { TerminalProxy, windowSize } from './terminal-proxy.js';

export function runCommand(): Command {
  return addContainerOptions(new Command('run'))
    .option('--name <id>', 'the container’s id; a random one unless told')
    .option('--rm', 'as always: nothing of it is left when it has ended')
    .addHelpText(
      'after',
      `
Examples:
  tare run debian:12 -- /bin/sh -c 'echo hello'
  tare run -it --userns 100000 busybox
  tare image bootstrap busybox && tare run localhost/busybox echo hello     without a registry
  tare run -v ./src:/src:ro -w /src --pull never localhost:5000/tools make
  tare run --rootfs ./rootfs -- /bin/echo hello
  tare run --rootfs ./rootfs -it --hostname box -- /bin/sh
  tare run --rootfs ./rootfs --memory 64m --pids-limit 32 -v ./src:/src:ro -- make -C /src
  tare run --bundle ./bundle`,
    )
    .action(async (words: string[], options: ContainerOptions & { name?: string }) => {
      if (isOfImage(options, words) && (await inOwnUserNamespace())) return;
      const id = options.name ?? randomId();
      using described = await describeContainer(id, options, words, { size: windowSize() });
      process.exitCode = await runInForeground({
        id,
        bundle: described.bundle,
        folder: described.folder,
        init: options.init,
        input: options.bundle !== undefined || options.interactive,
        program: 'tare',
      });
    });
}

export interface Foreground extends Omit<CreateOptions, 'supervisor'> {
  /** Passes on what is typed, where the container has a terminal. */
  readonly input?: boolean;
  /** Who speaks: `tare` or `tare-oci`. */
  readonly program: string;
  /** What is left of it when it has ended stays. */
  readonly keep?: boolean;
  /** Called once the program runs, with the pid of the container's first process; a short one may have ended by then. */
  readonly onStarted?: (pid: number) => void;
}

/** Runs a container to its end and returns the exit code. Nothing of it is left, however it ends, unless it is to be kept. */
export async function runInForeground(options: Foreground): Promise<number> {
  const { input, program, keep = false, onStarted, ...creation } = options;
  // Before it is made: a signal that comes while it is being made is for it.
  const signals = new SignalForwarder();
  let container: Container | undefined;
  let terminal: TerminalProxy | undefined;
  let pid: number | undefined;
  try {
    const bundle = withOurSize(creation.bundle);
    // A terminal is arranged before the program writes to it.
    const inSteps = bundle.config.process?.terminal ?? false;
    container = await Container[inSteps ? 'create' : 'run']({
      onWarning: (sentence) => warn(program, sentence),
      ...creation,
      bundle,
      supervisor: 'stage',
      autoRemove: !keep,
      onProcess: (lane, one) => {
        if (lane === 'inside') pid = one;
      },
    });
    const master = container.run?.take(CREATE.console);
    if (master !== undefined) terminal = new TerminalProxy(master, { input: input ?? false });
    if (inSteps) await startOrDelete(container);
    signals.forwardTo(container);
    if (pid !== undefined) onStarted?.(pid);
    const { code } = await container.wait();
    await terminal?.drained();
    if (code === KILLED && container.oomKills() > 0)
      warn(program, 'the container was killed by the kernel: it reached its memory limit');
    return code;
  } finally {
    signals.stop();
    terminal?.close();
    if (container && !keep) await deleteQuietly(container);
  }
}

/** As `Container.run` has it: what could not be started is not kept. */
async function startOrDelete(container: Container): Promise<void> {
  try {
    await container.start();
  } catch (error) {
    await deleteQuietly(container);
    throw error;
  }
}

/** Exit code of who was killed by SIGKILL. */
const KILLED = 137;

/** A program that asks for the size of its terminal at once gets that of ours, not 0. */
function withOurSize(bundle: Foreground['bundle']): Foreground['bundle'] {
  const { process } = bundle.config;
  const size = windowSize();
  if (!process?.terminal || process.consoleSize || !size) return bundle;
  const consoleSize = { width: size.columns, height: size.rows };
  return { ...bundle, config: { ...bundle.config, process: { ...process, consoleSize } } };
}

/** Somebody else may have deleted it meanwhile (`tare delete --force`): then there is nothing left to do. */
export async function deleteQuietly(container: Container): Promise<void> {
  try {
    await container.delete({ force: true });
  } catch (error) {
    if (!(error instanceof TareError && error.code === 'not-found')) throw error;
  }
}

function randomId(): string {
  return `t${randomBytes(6).toString('hex')}`;
}
