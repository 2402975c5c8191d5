/** `tare load`: images out of an archive or a layout, whoever has written it. */
import { statSync } from 'node:fs';
import { Command } from 'commander';
import { type LoadedImage, loadArchive, loadLayout } from '../../image/archive/index.js';
import { familiarName, parseReference } from '../../image/reference.js';
import { interruptible } from '../interrupt.js';
import { print } from '../print.js';
import { makeTransferProgress } from '../progress.js';
import { readArchive } from './archive-file.js';
import { withStore } from './with-store.js';

interface Options {
  readonly input: string;
  readonly name?: string;
  readonly quiet?: boolean;
}

export function loadCommand(): Command {
  return new Command('load')
    .option('-i, --input <path>', 'a file, or the folder of an OCI layout; standard input unless told', '-')
    .option('--name <name>', 'what to call the image, instead of what the archive says')
    .option('-q, --quiet', 'show no progress')
    .addHelpText(
      'after',
      `
It takes what "docker save", "podman save" (each of its formats but docker-dir), "skopeo copy ... docker-archive:" or "oci-archive:" and
"tare save" write, also packed by gzip or zstd, and OCI layouts in folders.

Examples:
  docker save debian:12 | tare load
  tare load -i images.tar.gz
  tare load -i ./layout --name localhost/mine:1`,
    )
    .action((options: Options) => interruptible((signal) => load(options, signal)));
}

async function load({ input, name, quiet }: Options, signal: AbortSignal): Promise<void> {
  const progress = quiet ? undefined : makeTransferProgress();
  const options = { signal, onProgress: progress?.report, ...(name !== undefined && { name: parseReference(name) }) };
  const isFolder = input !== '-' && statSync(input, { throwIfNoEntry: false })?.isDirectory();
  let loaded: readonly LoadedImage[];
  try {
    loaded = await withStore((store) =>
      isFolder ? loadLayout(store, input, options) : loadArchive(store, readArchive(input, signal), options),
    );
  } finally {
    progress?.close();
  }
  await print(loaded.map(sentences).join(''));
}

function sentences({ references, ids, target }: LoadedImage): string {
  const name = (one: (typeof references)[number]) => `Loaded image: ${familiarName(one)}\n`;
  return references.length > 0 ? references.map(name).join('') : `Loaded image ID: ${ids[0] ?? target.digest}\n`;
}
