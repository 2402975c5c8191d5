/** `tare-oci state`: what a container is doing, as JSON. runtime-spec, runtime.md, "State". */
import { Command } from 'commander';
import { print } from '../print.js';
import type { OciContext } from './context.js';

export function stateCommand(context: OciContext): Command {
  return new Command('state').argument('<container-id>').action((id: string) => {
    const state = context.open(id).state();
    // runc's callers decode a pid of 0 for a container without a process.
    return print(`${JSON.stringify({ ...state, pid: state.pid ?? 0 }, null, 2)}\n`);
  });
}
