/** `tare delete`: removes a container, by its journal. */
import { Command } from 'commander';
import { Container } from '../container/index.js';

export function deleteCommand(): Command {
  return new Command('delete')
    .argument('<id...>', 'containers')
    .option('-f, --force', 'also one that runs: it is killed first')
    .action(async (ids: string[], { force }: { force?: boolean }) => {
      for (const id of ids) await Container.open(id).delete({ force });
    });
}
