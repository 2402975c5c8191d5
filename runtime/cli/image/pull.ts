/** `tare pull`: an image from its registry, downloaded and unpacked. Its digest is printed, so that a script can go on with it. */
import { Command } from 'commander';
import { explainPull } from '../../image/obtain.js';
import { parsePlatform } from '../../image/platform.js';
import { type PulledUnpacked, pullUnpacked } from '../../image/pull-unpacked.js';
import { familiarName, parseReference } from '../../image/reference.js';
import { type Pulled, pull } from '../../image/registry/index.js';
import { ImageStore } from '../../image/store/index.js';
import { TareError } from '../../kernel/error.js';
import { collect } from '../collect.js';
import { interruptible } from '../interrupt.js';
import { inOwnUserNamespace } from '../own-users.js';
import { print, printable } from '../print.js';
import { makeTransferProgress } from '../progress.js';
import { addRegistryOptions, type RegistryFlags, registryOptions } from './registry-options.js';

interface PullFlags extends RegistryFlags {
  readonly platform?: string;
  readonly allPlatforms?: boolean;
  readonly foreignLayers?: boolean;
  readonly unpack: boolean;
  readonly mirror?: string[];
  readonly quiet?: boolean;
}

export function pullCommand(): Command {
  return addRegistryOptions(new Command('pull'))
    .argument('<name>', 'as debian:12, localhost:5000/a/b:tag or name@sha256:...')
    .option('--platform <os/arch>', 'another one than this machine’s, as linux/arm64')
    .option('--all-platforms', 'every platform of an index; none is unpacked')
    .option('--foreign-layers', 'also layers that the image says to fetch from elsewhere')
    .option('--mirror <url>', 'ask there first; can be given again', collect)
    .option('--no-unpack', 'only download')
    .option('-q, --quiet', 'print nothing but the digest')
    .addHelpText(
      'after',
      `
An interrupted download goes on where it broke off when it is asked for again.
Credentials are those of "tare login", and of docker and podman.
Mirrors can also be named in ~/.config/tare/registries.json or /etc/tare/registries.json:
  {"mirrors": {"docker.io": ["https://mirror.example"]}}

Examples:
  tare pull debian:12
  tare pull --platform linux/arm64 alpine
  tare pull localhost:5000/team/app:1.0        plain HTTP is spoken on the loopback only
  tare pull --cert-dir ./certs registry.example/app`,
    )
    .action(async (name: string, flags: PullFlags) => {
      if (flags.platform !== undefined && flags.allPlatforms)
        throw new TareError('usage', '--platform and --all-platforms cannot be used together');
      const reference = parseReference(name);
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
      if (await inOwnUserNamespace()) return;
      using store = await ImageStore.open();
      using lease = store.lease();
      const progress = makeTransferProgress();
      const onProgress = flags.quiet ? () => undefined : progress.report;
      await interruptible(async (signal) => {
        try {
          const { allPlatforms = false, foreignLayers = false, mirror: mirrors } = flags;
          const way: (...words: Parameters<typeof pullUnpacked>) => Promise<Pulled & Partial<PulledUnpacked>> =
            flags.unpack && !allPlatforms ? pullUnpacked : pull;
          const pulled = way(store, reference, {
            ...registryOptions(flags),
            ...(mirrors && { mirrors }),
            platform,
            allPlatforms,
            foreignLayers,
            lease,
            onProgress,
            signal,
          });
          const { target, isUnchanged, unpacked } = await pulled.catch(async (error: unknown) => {
            if (!(error instanceof TareError) || signal.aborted) throw error;
            throw await explainPull(store, reference, error);
          });
          await unpacked;
          progress.close();
          const what = isUnchanged ? 'is up to date' : 'has been pulled';
          const sentence = `${printable(familiarName(reference))} ${what}\n`;
          await print(`${flags.quiet ? '' : sentence}${target.digest}\n`);
        } finally {
          progress.close();
        }
      }, 'interrupted; what has come so far is kept, and the next pull goes on with it');
    });
}
