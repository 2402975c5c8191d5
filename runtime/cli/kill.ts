/** `tare kill`: a signal to a container's first process. */
import { Command } from 'commander';
import { Container } from '../container/index.js';
import { parseSignal } from '../kernel/signals.js';

export function killCommand(): Command {
  return new Command('kill')
    .argument('<id>', 'the container')
    .argument('[signal]', 'a name or a number', 'SIGTERM')
    .action((id: string, signal: string) => {
      Container.open(id).kill(parseSignal(signal));
    });
}
