/** `tare save`: images as one archive, or as a folder, for other engines and other machines. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { saveArchive, saveLayout, writeArchive } from '../../image/archive/index.js';
import { parsePlatform } from '../../image/platform.js';
import { TareError } from '../../kernel/error.js';
import { interruptible } from '../interrupt.js';
import { makeTransferProgress } from '../progress.js';
import { withStore } from './with-store.js';

interface Options {
  readonly output?: string;
  readonly format: string;
  readonly platform?: string;
  readonly quiet?: boolean;
}

export function saveCommand(): Command {
  return new Command('save')
    .argument('<images...>', 'names or ids')
    .option('-o, --output <path>', 'a file, or of oci-dir a folder; standard output unless told')
    .option('--format <format>', '"docker", "oci" (an archive of an OCI layout) or "oci-dir" (the folder)', 'docker')
    .option('--platform <platform>', 'only this one, such as linux/arm64')
    .option('-q, --quiet', 'show no progress')
    .addHelpText(
      'after',
      `
A docker archive is what "docker load", "podman load" and "skopeo copy docker-archive:FILE ..." take: of each image one platform, its
layers unpacked. An OCI archive has every blob as it is in the store, of all platforms that are here.

Examples:
  tare save -o debian.tar debian:12
  tare save debian:12 busybox | docker load
  tare save --format oci -o both.tar debian:12 localhost/busybox
  tare save --format oci-dir -o ./layout debian:12`,
    )
    .action((images: string[], options: Options) => interruptible((signal) => save(images, options, signal)));
}

async function save(images: readonly string[], options: Options, signal: AbortSignal): Promise<void> {
  const { output, format } = options;
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const progress = options.quiet ? undefined : makeTransferProgress();
  const more = { platform, signal, onProgress: progress?.report };
  try {
    await withStore(async (store) => {
      if (format === 'docker' || format === 'oci')
        await writeArchive(output, (sink) => saveArchive(store, images, format, sink, more));
      else if (format === 'oci-dir') await intoFolder(output, (folder) => saveLayout(store, images, folder, more));
      else throw new TareError('usage', `--format ${format}: there are docker, oci and oci-dir`);
    });
  } finally {
    progress?.close();
  }
}

/** It is there as a whole, or not at all. */
async function intoFolder(output: string | undefined, work: (folder: string) => Promise<void>): Promise<void> {
  if (output === undefined) throw new TareError('usage', '--format oci-dir makes a folder: give --output FOLDER');
  if (existsSync(output)) throw new TareError('exists', `${output} is there already`, { path: output });
  const parent = dirname(resolve(output));
  await mkdir(parent, { recursive: true });
  const temporary = await mkdtemp(join(parent, `.${basename(output)}.`));
  try {
    const folder = join(temporary, 'layout');
    await mkdir(folder);
    await work(folder);
    await rename(folder, output);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
