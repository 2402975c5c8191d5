/** The options of all commands that talk to a registry. */
import type { Command } from 'commander';
import type { RegistryOptions } from '../../image/registry/index.js';

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
