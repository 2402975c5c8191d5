/** `tare-oci start`: lets the program of a created container run. runtime-spec, runtime.md, "Start". */
import { Command } from 'commander';
import type { OciContext } from './context.js';

export function startCommand(context: OciContext): Command {
  return new Command('start').argument('<container-id>').action(async (id: string) => {
    await context.open(id).start();
  });
}
