/** The options that `checkpoint` and `restore` have in common, as runc has them, and what they mean for the library. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CheckpointOptions } from '../../container/index.js';
import { TareError } from '../../kernel/error.js';
import { collect } from '../collect.js';
import type { OciContext } from './context.js';

export interface CriuFlags {
  readonly imagePath?: string;
  readonly workPath?: string;
  readonly tcpEstablished?: boolean;
  readonly extUnixSk?: boolean;
  readonly shellJob?: boolean;
  readonly fileLocks?: boolean;
  readonly lazyPages?: boolean;
  readonly autoDedup?: boolean;
  readonly emptyNs?: readonly string[];
  readonly manageCgroupsMode?: string;
}

export function addCriuOptions(command: Command): Command {
  return command
    .argument('<container-id>')
    .option('--image-path <dir>', 'the folder of the images; ./checkpoint unless told')
    .option('--work-path <dir>', 'the folder of logs and work files; that of the images unless told')
    .option('--tcp-established', 'also with open TCP connections')
    .option('--ext-unix-sk', 'also with Unix sockets whose other end is outside')
    .option('--shell-job', 'also where it belongs to the session of a shell')
    .option('--file-locks', 'also with locks on files')
    .option('--lazy-pages', 'memory is handed over when it is used')
    .option('--auto-dedup', 'keep each page of memory once')
    .option('--empty-ns <type>', 'a new namespace instead of the one that it had: network', collect)
    .option('--manage-cgroups-mode <mode>', 'accepted: cgroups are always made by the runtime');
}

/** @throws TareError `usage` */
export function criuOptions(
  context: OciContext,
  flags: CriuFlags,
): Pick<
  CheckpointOptions,
  Exclude<keyof CriuFlags, 'imagePath' | 'workPath' | 'manageCgroupsMode'> | 'images' | 'work' | 'criu'
> {
  const { imagePath, workPath, manageCgroupsMode: mode, ...same } = flags;
  if (mode && !['soft', 'full', 'strict', 'ignore'].includes(mode))
    throw new TareError('usage', `Invalid manage cgroups mode: ${JSON.stringify(mode)}`);
  return {
    ...same,
    criu: context.globals.criu,
    images: resolve(imagePath || 'checkpoint'),
    ...(workPath && { work: resolve(workPath) }),
  };
}
