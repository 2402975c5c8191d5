/** `tare-oci state`: what a container is doing, as JSON. runtime-spec, runtime.md, "State". */
import { Command } from 'commander';
import type { OciState } from '../../oci/index.js';
import { print } from '../print.js';
import type { OciContext } from './context.js';

export function stateCommand(context: OciContext): Command {
  return new Command('state').argument('<container-id>').action((id: string) => {
    return print(`${JSON.stringify(asRuncHasIt(context.open(id).state()), null, 2)}\n`);
  });
}

/** In its order, with a pid of 0 for a container without a process. */
export function asRuncHasIt({ ociVersion, id, pid = 0, ...rest }: OciState): OciState {
  return { ociVersion, id, pid, ...rest, owner: '' };
}
