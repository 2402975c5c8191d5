/** The options of all commands that talk to a registry, and ending such a command by a signal: what is half done is put away first. */
import type { Command } from 'commander';
import type { RegistryOptions } from '../../image/registry/index.js';
import { TareError } from '../../kernel/error.js';

export interface RegistryFlags {
  readonly plainHttp?: boolean;
  readonly certDir?: string;
}

export function addRegistryOptions(command: Command): Command {
  return command
    .option('--plain-http', 'speak HTTP without TLS: everybody on the way can read and change what passes')
    .option('--cert-dir <dir>', 'the CA (*.crt) and our certificate (*.cert, *.key) for this registry');
}

export function registryOptions({ plainHttp, certDir }: RegistryFlags): Pick<RegistryOptions, 'plainHttp' | 'certDir'> {
  return { ...(plainHttp && { plainHttp }), ...(certDir !== undefined && { certDir }) };
}

/** Runs `work` with a signal that comes with SIGINT, SIGTERM or SIGHUP. A second one of them ends us at once. */
export async function untilSignalled<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = (name: NodeJS.Signals) =>
    controller.abort(new TareError('state', `ended by ${name}; what has come so far is kept for the next time`));
  for (const name of names) process.once(name, stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    // An aborted wait says only that it was.
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    for (const name of names) process.off(name, stop);
  }
}
