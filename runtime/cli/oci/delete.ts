/** `tare-oci delete`: removes what is left of a container. runtime-spec, runtime.md, "Delete". */
import { Command } from 'commander';
import { TareError } from '../../kernel/error.js';
import type { OciContext } from './context.js';

export function deleteCommand(context: OciContext): Command {
  return new Command('delete')
    .argument('<container-id>')
    .option('-f, --force', 'also one that runs: it is killed first; one that is not there is no error')
    .action(async (id: string, { force = false }: { force?: boolean }) => {
      try {
        await context.open(id).delete({ force });
      } catch (error) {
        if (!(force && error instanceof TareError && error.code === 'not-found')) throw error;
      }
    });
}
