/** `tare-oci kill`: a signal to the first process of a container, or to all of them. runtime-spec, runtime.md, "Kill". */
import { Command } from 'commander';
import { parseSignal, SIGKILL } from '../../kernel/signals.js';
import type { OciContext } from './context.js';

export function killCommand(context: OciContext): Command {
  return new Command('kill')
    .argument('<container-id>')
    .argument('[signal]', 'a name or a number; 0 only asks whether it is there', 'SIGTERM')
    .option('-a, --all', 'every process of the container')
    .action(async (id: string, text: string, { all }: { all?: boolean }) => {
      const container = context.open(id);
      const signal = text === '0' ? 0 : parseSignal(text || 'SIGTERM');
      // Without a pid namespace of its own the others would live on, without anyone to end them.
      if (all || (signal === SIGKILL && !container.endsWithItsFirst)) await container.killAll(signal);
      else container.kill(signal);
    });
}
