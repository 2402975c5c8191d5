/** `tare tag`: another name for an image. The image that had the name before keeps its content, and loses it. */
import { Command } from 'commander';
import { findImage } from '../../image/image.js';
import { parseReference } from '../../image/reference.js';
import { TareError } from '../../kernel/error.js';
import { withStore } from './with-store.js';

export function tagCommand(): Command {
  return new Command('tag')
    .argument('<image>', 'a name or an id')
    .argument('<name>', 'what it is called from now on, too')
    .addHelpText(
      'after',
      `
Examples:
  tare tag debian:12 localhost:5000/base:1
  tare tag 3f2a91bc04de my-app`,
    )
    .action((image: string, name: string) =>
      withStore(async (store) => {
        const reference = parseReference(name);
        if (reference.digest !== undefined)
          throw new TareError(
            'usage',
            `${JSON.stringify(name)} has a digest, which nobody can give to an image: leave it out`,
          );
        using lease = store.lease();
        const { target } = findImage(store, image);
        // Nobody collects it before it has its name.
        lease.addBlob(target.digest);
        if (!store.content.has(target.digest)) throw new TareError('not-found', `${image} has just been removed`);
        await store.names.set(reference, target);
      }),
    );
}
