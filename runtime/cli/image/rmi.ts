/** `tare rmi`: takes names away, and removes what has none left and no container uses. */
import { Command } from 'commander';
import { removeImage } from '../../image/remove.js';
import type { Digest } from '../../oci/image/index.js';
import { print, printable } from '../print.js';
import { reportError } from '../report-error.js';
import { withStoreAsOwnRoot } from './with-store.js';

export function rmiCommand(): Command {
  return new Command('rmi')
    .argument('<image...>', 'names or ids')
    .option(
      '-f, --force',
      'also when a container uses it (its layers stay until the container goes), or an id has several names',
    )
    .addHelpText(
      'after',
      `
A name that is not the image’s last one is only taken away.

Examples:
  tare rmi debian:12
  tare rmi 3f2a91bc04de
  tare rmi -f $(tare images -q)`,
    )
    .action((images: string[], { force }: { force?: boolean }) =>
      withStoreAsOwnRoot(async (store) => {
        const gone = new Set<Digest>();
        for (const image of images) {
          try {
            const { untagged, nameless } = await store.makingRoom(() => removeImage(store, image, { force }));
            for (const name of untagged) await print(`Untagged: ${printable(name)}\n`);
            for (const { digest } of nameless) gone.add(digest);
          } catch (error) {
            // The others are removed all the same.
            process.exitCode = reportError('tare', error);
          }
        }
        if (gone.size === 0) return;
        await store.makingRoom(() => store.collectGarbage());
        // A container, a build's cache or another command may keep it for now.
        for (const digest of gone) if (!store.content.has(digest)) await print(`Deleted: ${digest}\n`);
      }),
    );
}
