/** `tare-oci checkpoint`: writes the processes of a container to files, by CRIU, and removes it. runc-checkpoint(8). */
import { Command } from 'commander';
import { TareError } from '../../kernel/error.js';
import type { OciContext } from './context.js';
import { addCriuOptions, type CriuFlags, criuOptions } from './criu-options.js';

interface CheckpointFlags extends CriuFlags {
  readonly parentPath?: string;
  readonly leaveRunning?: boolean;
  readonly preDump?: boolean;
  readonly tcpSkipInFlight?: boolean;
  readonly linkRemap?: boolean;
  readonly pageServer?: string;
  readonly statusFd?: string;
}

export function checkpointCommand(context: OciContext): Command {
  return addCriuOptions(new Command('checkpoint'))
    .option('--parent-path <dir>', 'images of an earlier --pre-dump, relative to those of this one')
    .option('--leave-running', 'let it go on afterwards')
    .option('--pre-dump', 'only its memory, while it goes on')
    .option('--tcp-skip-in-flight', 'leave out connections that are being made')
    .option('--link-remap', 'link files that were removed back, where that can be')
    .option('--page-server <address:port>', 'send the memory there')
    .option('--status-fd <number>', 'criu writes to this descriptor when lazy pages can be had')
    .action(async (id: string, flags: CheckpointFlags) => {
      const { parentPath, leaveRunning, preDump, tcpSkipInFlight, linkRemap, pageServer, statusFd, ...common } = flags;
      const container = context.open(id);
      await container.checkpoint({
        ...criuOptions(context, common),
        parent: parentPath,
        leaveRunning,
        preDump,
        tcpSkipInFlight,
        linkRemap,
        pageServer,
        statusFd: statusFd === undefined ? undefined : descriptor(statusFd),
      });
      if (!leaveRunning && !preDump) await container.delete({ force: true });
    });
}

function descriptor(text: string): number | undefined {
  if (text === '-1') return undefined;
  if (!/^\d{1,6}$/.test(text)) throw new TareError('usage', `--status-fd ${text}: must be the number of a descriptor`);
  return Number(text);
}
