/** `tare push`: an image of the store to its registry. */
import { Command } from 'commander';
import { parsePlatform } from '../../image/platform.js';
import { familiarName, parseReference } from '../../image/reference.js';
import { push } from '../../image/registry/index.js';
import { ImageStore } from '../../image/store/index.js';
import { TareError } from '../../kernel/error.js';
import { interruptible } from '../interrupt.js';
import { inOwnUserNamespace } from '../own-users.js';
import { print, printable } from '../print.js';
import { makeTransferProgress } from '../progress.js';
import { addRegistryOptions, type RegistryFlags, registryOptions } from './registry-options.js';

interface PushFlags extends RegistryFlags {
  readonly platform?: string;
  readonly allPlatforms?: boolean;
  readonly quiet?: boolean;
}

export function pushCommand(): Command {
  return addRegistryOptions(new Command('push'))
    .argument('<name>', 'as localhost:5000/team/app:1.0')
    .argument('[target]', 'push it by this name instead')
    .option('--platform <os/arch>', 'of an index only this one')
    .option('--all-platforms', 'the whole index, every platform of it')
    .option('-q, --quiet', 'print nothing but the digest')
    .addHelpText(
      'after',
      `
What the registry has already is not sent; what it has in another repository is mounted from there.

Examples:
  tare push localhost:5000/team/app:1.0
  tare push debian:12 registry.example/mirror/debian:12
  tare push --all-platforms registry.example/app`,
    )
    .action(async (name: string, target: string | undefined, flags: PushFlags) => {
      if (flags.platform !== undefined && flags.allPlatforms)
        throw new TareError('usage', '--platform and --all-platforms cannot be used together');
      const reference = parseReference(target ?? name);
      if (await inOwnUserNamespace({ unpacks: false })) return;
      using store = await ImageStore.open();
      const progress = makeTransferProgress();
      await interruptible(async (signal) => {
        try {
          const { target: pushed } = await push(store, reference, {
            ...registryOptions(flags),
            source: name,
            platform: flags.platform === undefined ? undefined : parsePlatform(flags.platform),
            allPlatforms: flags.allPlatforms ?? false,
            onProgress: flags.quiet ? undefined : progress.report,
            signal,
          });
          progress.close();
          const sentence = `${printable(familiarName(reference))} has been pushed\n`;
          await print(`${flags.quiet ? '' : sentence}${pushed.digest}\n`);
        } finally {
          progress.close();
        }
      });
    });
}
