/** `tare image prune`: makes room. */
import { Command } from 'commander';
import { parseDuration } from '../../image/build/parse/duration.js';
import { prune } from '../../image/prune.js';
import { TareError } from '../../kernel/error.js';
import { isDigest } from '../../oci/image/index.js';
import { print, printable } from '../print.js';
import { formatBytes } from '../progress.js';
import { counted } from './counted.js';
import { containersFolder, withStoreAsOwnRoot } from './with-store.js';

export function pruneCommand(): Command {
  return new Command('prune')
    .option('--filter <until=...>', 'only images made before a time, or so long ago: until=24h, until=2024-01-31')
    .option('-a, --all', 'also images that have a name, but no container, and what builds have cached')
    .option('-f, --force', 'as always: nothing is asked before')
    .addHelpText(
      'after',
      `
Removes images that have lost their names, downloads that were interrupted, unpacked layers that nothing needs, and what containers that are gone
have left. What another command is working with stays.

Examples:
  tare image prune
  tare image prune --all
  tare image prune --all --filter until=240h`,
    )
    .action(({ all, filter }: { all?: boolean; filter?: string }) =>
      withStoreAsOwnRoot(async (store) => {
        const { untagged, blobs, snapshots, leftovers, containers, bytes } = await store.makingRoom(() =>
          prune(store, {
            all,
            containers: containersFolder(),
            ...(filter !== undefined && { until: untilOf(filter) }),
          }),
        );
        // What had no name was known by its digest.
        for (const name of untagged) await print(`${isDigest(name) ? 'Deleted' : 'Untagged'}: ${printable(name)}\n`);
        const counts: [number, string, string?][] = [
          [blobs, 'blob'],
          [snapshots, 'unpacked layer'],
          [leftovers, 'leftover'],
          [containers.length, 'folder of a container', 'folders of containers'],
        ];
        const what = counts.filter(([count]) => count > 0).map((one) => counted(...one));
        if (what.length > 0) await print(`Removed ${what.join(', ')}\n`);
        await print(bytes > 0 ? `Freed ${formatBytes(bytes)} (${counted(bytes, 'byte')})\n` : 'Nothing to free\n');
      }),
    );
}

/** @throws TareError `usage` */
function untilOf(filter: string): Date {
  const [, text = ''] = /^until=(.+)$/s.exec(filter) ?? [];
  const age = parseDuration(text);
  const date =
    age !== undefined
      ? new Date(Date.now() - age / 1e6)
      : new Date(/^\d{9,11}$/.test(text) ? Number(text) * 1000 : text);
  if (Number.isNaN(date.getTime()))
    throw new TareError(
      'usage',
      `--filter ${filter}: must be until=24h, until=2024-01-31T10:00:00Z or until=SECONDS since 1970`,
    );
  return date;
}
