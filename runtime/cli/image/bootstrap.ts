/** `tare image bootstrap`: a base image from Debian packages, where there is no registry to pull one from. */
import { Command } from 'commander';
import { BOOTSTRAPS, bootstrap } from '../../image/bootstrap/index.js';
import { familiarName } from '../../image/reference.js';
import { TareError } from '../../kernel/error.js';
import { interruptible } from '../interrupt.js';
import { inOwnUserNamespace } from '../own-users.js';
import { print } from '../print.js';
import { makeTransferProgress } from '../progress.js';
import { withStore } from './with-store.js';

interface Options {
  readonly suite?: string;
  readonly mirror?: string;
  readonly force?: boolean;
  readonly quiet?: boolean;
}

export function bootstrapCommand(): Command {
  return new Command('bootstrap')
    .argument('<image>', BOOTSTRAPS.join(' or '))
    .option('--suite <name>', 'Debian’s code name; that of this machine unless told')
    .option('--mirror <url>', 'the Debian archive to download from; those of this machine’s apt unless told')
    .option('--force', 'make it anew, also when it is there')
    .option('-q, --quiet', 'show no progress')
    .addHelpText(
      'after',
      `
The images are called localhost/busybox and localhost/debian: they are made here, and are not Docker's. Busybox is Debian's busybox-static, and
done at once; Debian is made by mmdebstrap (variant minbase) and takes about half a minute. With SOURCE_DATE_EPOCH
set, the same packages make the same image.

Examples:
  tare image bootstrap busybox && tare run localhost/busybox echo hello
  tare image bootstrap debian --suite trixie`,
    )
    .action(async (name: string, options: Options) => {
      // Its packages have several owners.
      if (name === 'debian' && (await inOwnUserNamespace({ unpacks: false }))) return;
      await interruptible((signal) => make(name, options, signal));
    });
}

async function make(name: string, { suite, mirror, force, quiet }: Options, signal: AbortSignal): Promise<void> {
  const what = BOOTSTRAPS.find((one) => one === name);
  if (!what)
    throw new TareError('usage', `${JSON.stringify(name)} cannot be made: there are ${BOOTSTRAPS.join(' and ')}`);
  if (what !== 'debian' && (suite !== undefined || mirror !== undefined))
    throw new TareError('usage', `--suite and --mirror are of debian, and not of ${what}`);
  const progress = quiet ? undefined : makeTransferProgress();
  try {
    const { names, id, made } = await withStore((store) =>
      bootstrap(store, what, { suite, mirror, force, signal, onProgress: progress?.report }),
    );
    progress?.close();
    const called = names.map(familiarName).join(', ');
    await print(made ? `${called}: ${id}\n` : `${called} is there already: ${id} (--force makes it anew)\n`);
  } finally {
    progress?.close();
  }
}
