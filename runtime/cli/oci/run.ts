/**
 * `tare-oci run`: creates, starts, and waits in the foreground; with `--detach` leaves it as create and start do.
 */
import { Command } from 'commander';
import { TareError } from '../../kernel/error.js';
import { loadBundle } from '../../oci/index.js';
import { runInForeground } from '../run.js';
import type { OciContext } from './context.js';
import { addCreateOptions, type CreateFlags, createDetached, creation, writePidFile } from './create-options.js';
import { warning } from './log.js';

interface RunFlags extends CreateFlags {
  readonly detach?: boolean;
  readonly keep?: boolean;
}

export function runCommand(context: OciContext): Command {
  return addCreateOptions(new Command('run'))
    .option('-d, --detach', 'do not wait for it')
    .option('--keep', 'do not delete it when it ends')
    .option('--no-subreaper', 'accepted: nothing of ours is a subreaper')
    .action(async (id: string, flags: RunFlags) => {
      if (flags.detach) return runDetached(context, id, flags);
      process.exitCode = await foreground(context, id, flags);
    });
}

async function runDetached(context: OciContext, id: string, flags: CreateFlags): Promise<void> {
  const container = await createDetached(context, id, flags);
  try {
    await container.start();
  } catch (error) {
    await container.delete({ force: true });
    throw error;
  }
}

function foreground(context: OciContext, id: string, flags: RunFlags): Promise<number> {
  if (flags.consoleSocket !== undefined)
    throw new TareError('usage', '--console-socket is for a container that nobody waits for: add --detach');
  const { pidFile } = flags;
  const bundle = loadBundle(flags.bundle);
  return runInForeground({
    ...creation(context, id, bundle, flags),
    input: true,
    program: 'tare-oci',
    keep: flags.keep,
    onWarning: (sentence) => warning(context.globals, sentence),
    onStarted: (pid) => {
      if (pidFile !== undefined) writePidFile(pidFile, pid);
    },
  });
}
