/**
 * A further process of a container in the foreground: it has our standard streams, or a terminal that we proxy; our signals are its
 * signals; its exit code is ours (128+n for a signal).
 */
import type { Container, ExecOptions } from '../container/index.js';
import { SIGKILL } from '../kernel/signals.js';
import { SignalForwarder } from './signal-forwarder.js';
import { TerminalProxy } from './terminal-proxy.js';

export interface ForegroundExec extends Omit<ExecOptions, 'supervisor'> {
  /** Passes on what is typed, where the process has a terminal. */
  readonly input: boolean;
  /** Called once the program runs, with its pid; a short one may have ended by then. */
  readonly onStarted?: (pid: number) => void;
}

/** Returns the exit code. @throws what `Container.exec` throws */
export async function execInForeground(container: Container, options: ForegroundExec): Promise<number> {
  const { input, onStarted, ...rest } = options;
  // Before it is there: a signal that comes while it is being started is for it.
  const signals = new SignalForwarder();
  let terminal: TerminalProxy | undefined;
  try {
    const started = await container.exec(rest);
    signals.forwardTo(started);
    if (started.console !== undefined) terminal = new TerminalProxy(started.console, { input });
    try {
      onStarted?.(started.pid);
    } catch (error) {
      // Who called does not know of it, so it must not be there.
      started.kill(SIGKILL);
      await started.wait();
      throw error;
    }
    const { code } = await started.wait();
    await terminal?.drained();
    return code;
  } finally {
    signals.stop();
    terminal?.close();
  }
}
