/**
 * `tare step`: runs the plan of a container one step at a time, and shows after each what changed in the kernel's view of the
 * process that made it: namespaces, mounts, cgroup, limits, capabilities. Without a terminal, or with --auto, it goes through by itself.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { Command } from 'commander';
import { Container } from '../container/index.js';
import { TareError } from '../kernel/error.js';
import { CREATE } from '../plan/index.js';
import { addContainerOptions, type ContainerOptions } from './container-options.js';
import { describeContainer, isOfImage } from './image-container.js';
import { inOwnUserNamespace } from './own-users.js';
import { printNow } from './print.js';
import { warn } from './report-error.js';
import { deleteQuietly } from './run.js';
import { SignalForwarder } from './signal-forwarder.js';
import { KeyPrompt } from './step-prompt.js';
import { Stepper } from './stepper.js';
import { TerminalProxy } from './terminal-proxy.js';

/** What ends a program that says nothing about them: here they end the stepping. */
const { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 } = constants.signals;
const ENDING: ReadonlySet<number> = new Set([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]);

export function stepCommand(): Command {
  return addContainerOptions(new Command('step'))
    .option('--auto', 'do not wait for a key after each step')
    .addHelpText(
      'after',
      `
Keys, in a terminal (keys from a pipe are not read: it goes through by itself, as with --auto):
  enter, space   the next step
  b NUMBER       go on to that step of the inside lane
  c              go on to the end
  q              stop, and undo everything

Examples:
  tare step --bundle ./bundle
  tare step debian:12
  tare step --rootfs ./rootfs --auto -- /bin/true`,
    )
    .action(async (words: string[], options: ContainerOptions & { auto?: boolean }) => {
      if (isOfImage(options, words) && (await inOwnUserNamespace())) return;
      process.exitCode = await stepThrough(words, options);
    });
}

async function stepThrough(words: string[], options: ContainerOptions & { auto?: boolean }): Promise<number> {
  const id = `step-${randomBytes(4).toString('hex')}`;
  using described = await describeContainer(id, options, words);
  const prompt = options.auto || !isatty(0) ? undefined : new KeyPrompt();
  const stepper = new Stepper((text) => void printNow(1, text), prompt);
  // Ours is the terminal that is closed, or the process that is ended: what has been made so far is undone first.
  const signals = new SignalForwarder((signal) => {
    if (ENDING.has(signal)) stepper.stop(new TareError('usage', 'stopped; everything is undone'));
  });
  // The keys are ours while we step, so the container reads nothing, unless it has a terminal of its own.
  const nothing = openSync('/dev/null', 'r');
  let container: Container | undefined;
  let terminal: TerminalProxy | undefined;
  try {
    container = await Container.run({
      id,
      bundle: described.bundle,
      folder: described.folder,
      init: options.init,
      stdio: [nothing, 1, 2],
      autoRemove: true,
      onWarning: (sentence) => warn('tare', sentence),
      onPlan: (plan) => stepper.begin(plan),
      onProcess: (lane, pid) => stepper.watch(lane, pid),
      driver: stepper,
    });
    signals.forwardTo(container);
    await stepper.finish();
    prompt?.close();
    const master = container.run?.take(CREATE.console);
    if (master !== undefined) terminal = new TerminalProxy(master, { input: true });
    const { code } = await container.wait();
    await terminal?.drained();
    return code;
  } finally {
    signals.stop();
    closeSync(nothing);
    prompt?.close();
    terminal?.close();
    if (container) await deleteQuietly(container);
  }
}
