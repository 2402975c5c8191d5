/** `tare image verify`: reads every byte of the store, and says what is not as it must be. */
import { rmSync } from 'node:fs';
import { Command } from 'commander';
import { print, printable } from '../print.js';
import { formatBytes, makeTransferProgress } from '../progress.js';
import { counted } from './counted.js';
import { withStoreAsOwnRoot } from './with-store.js';

export function verifyCommand(): Command {
  return new Command('verify')
    .option('-q, --quiet', 'only what is wrong')
    .option('--repair', 'remove blobs that are damaged, so that they can be pulled again')
    .addHelpText(
      'after',
      `
Every blob is hashed again; what each name stands for must be there as a whole, and every unpacked layer with those below it. Exits with 1 when
something is wrong.

Examples:
  tare image verify
  tare image verify --repair && tare pull debian:12`,
    )
    .action(({ quiet, repair }: { quiet?: boolean; repair?: boolean }) =>
      withStoreAsOwnRoot(async (store) => {
        const progress = quiet ? undefined : makeTransferProgress();
        const { problems, blobs, bytes, images, snapshots } = await store
          .verify(progress?.report)
          .finally(() => progress?.close());
        for (const { what, message, damaged } of problems) {
          await print(`${printable(`${what} ${message}`)}\n`);
          if (repair && damaged) rmSync(store.content.path(damaged), { force: true });
        }
        if (problems.length > 0) process.exitCode = 1;
        else if (!quiet)
          await print(
            `all as it must be: ${counted(images, 'image')}, ${counted(blobs, 'blob')} (${formatBytes(bytes)}), ${counted(snapshots, 'unpacked layer')}\n`,
          );
      }),
    );
}
