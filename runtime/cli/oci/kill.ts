/** `tare-oci kill`: a signal to the first process of a container, or to all of them. runtime-spec, runtime.md, "Kill". */
import { Command } from 'commander';
import { parseSignal } from '../../kernel/signals.js';
import type { OciContext } from './context.js';

export function killCommand(context: OciContext): Command {
  return new Command('kill')
    .argument('<container-id>')
    .argument('[signal]', 'a name or a number', 'SIGTERM')
    .option('-a, --all', 'every process of the container')
    .action(async (id: string, signal: string, { all }: { all?: boolean }) => {
      const container = context.open(id);
      if (all) await container.killAll(parseSignal(signal));
      else container.kill(parseSignal(signal));
    });
}
