/** `tare-oci start`: lets the program of a created container run. runtime-spec, runtime.md, "Start". Where a service manager waits for it, ends once it is ready. */
import { Command } from 'commander';
import type { OciContext } from './context.js';
import { startAndNotify } from './notify-socket.js';

export function startCommand(context: OciContext): Command {
  return new Command('start').argument('<container-id>').action(async (id: string) => {
    await startAndNotify(context, context.open(id));
  });
}
