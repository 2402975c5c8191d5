/** `tare system df`: where the room goes. */
import { Command } from 'commander';
import { diskUsage } from '../../image/usage.js';
import { formatTable, json, print } from '../print.js';
import { formatBytes } from '../progress.js';
import { containersFolder, withStoreAsOwnRoot } from './with-store.js';

export function dfCommand(): Command {
  return new Command('df')
    .option('--json', 'for machines')
    .addHelpText(
      'after',
      `
RECLAIMABLE is what "tare image prune --all" would free.

Examples:
  tare system df
  tare system df --json`,
    )
    .action(({ json: forMachines }: { json?: boolean }) =>
      withStoreAsOwnRoot(async (store) => {
        const rows = diskUsage(store, containersFolder());
        if (forMachines) return print(json(rows));
        const table = rows.map(({ kind, count, active, bytes, reclaimable }) => [
          kind,
          String(count),
          String(active),
          formatBytes(bytes),
          formatBytes(reclaimable),
        ]);
        return print(formatTable([['TYPE', 'TOTAL', 'ACTIVE', 'SIZE', 'RECLAIMABLE'], ...table]));
      }),
    );
}
