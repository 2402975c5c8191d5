/** `tare import`: an image of one layer out of the tar archive of a root file system. */
import { Command } from 'commander';
import { changedConfig } from '../../image/archive/changes.js';
import { importRootfs } from '../../image/archive/index.js';
import { parsePlatform } from '../../image/platform.js';
import { parseReference } from '../../image/reference.js';
import { collect } from '../collect.js';
import { interruptible } from '../interrupt.js';
import { print } from '../print.js';
import { makeTransferProgress } from '../progress.js';
import { warn } from '../report-error.js';
import { readArchive } from './archive-file.js';
import { withStore } from './with-store.js';

interface Options {
  readonly change?: readonly string[];
  readonly message?: string;
  readonly platform?: string;
  readonly quiet?: boolean;
}

export function importCommand(): Command {
  return new Command('import')
    .argument('<file>', 'a tar archive, packed by gzip or zstd or not; "-" is standard input')
    .argument('[name]', 'what to call the image')
    .option(
      '-c, --change <instruction>',
      'a line of a Dockerfile that changes no file; may be given several times',
      collect,
    )
    .option('-m, --message <text>', 'what its history says')
    .option('--platform <platform>', 'what it is made for, such as linux/arm64')
    .option('-q, --quiet', 'show no progress')
    .addHelpText(
      'after',
      `
Examples:
  tar -C ./rootfs -c . | tare import - localhost/mine
  tare import -c 'CMD ["sh"]' -c 'ENV LANG=C.UTF-8' -m 'made by hand' rootfs.tar.gz localhost/mine:1`,
    )
    .action((file: string, name: string | undefined, options: Options) =>
      interruptible((signal) => importFile(file, name, options, signal)),
    );
}

async function importFile(
  file: string,
  name: string | undefined,
  { change = [], message, platform, quiet }: Options,
  signal: AbortSignal,
): Promise<void> {
  const names = name === undefined ? [] : [parseReference(name)];
  const { config, author } = changedConfig(change, (text) => warn('tare', text));
  const progress = quiet ? undefined : makeTransferProgress();
  try {
    const { id } = await withStore((store) =>
      importRootfs(store, readArchive(file, signal), {
        names,
        config,
        author,
        message: message ?? (file === '-' ? 'Imported from standard input' : `Imported from ${file}`),
        platform: platform === undefined ? undefined : parsePlatform(platform),
        signal,
        onProgress: progress?.report,
      }),
    );
    progress?.close();
    await print(`${id}\n`);
  } finally {
    progress?.close();
  }
}
