/** `tare kill`: a signal to a container's first process. */
import { Command } from 'commander';
import { Container } from '../container/index.js';
import { parseSignal } from '../kernel/signals.js';

export function killCommand(): Command {
  return new Command('kill')
    .argument('<id>', 'the container')
    .argument('[signal]', 'a name or a number; the STOPSIGNAL of its image unless told, else SIGTERM')
    .addHelpText('after', '\nExamples:\n  tare kill box\n  tare kill box KILL')
    .action((id: string, signal: string | undefined) => {
      const container = Container.open(id);
      container.kill(signal === undefined ? container.stopSignal : parseSignal(signal));
    });
}
