/**
 * `tare-oci run`: creates, starts, and waits in the foreground; with `--detach` leaves it as create and start do.
 */
import { Command } from 'commander';
import { TareError } from '../../kernel/error.js';
import { loadBundle } from '../../oci/index.js';
import { runInForeground } from '../run.js';
import type { OciContext } from './context.js';
import {
  addCreateOptions,
  type CreateFlags,
  createDetached,
  creation,
  withoutEmpty,
  writePidFile,
} from './create-options.js';
import { warning } from './log.js';
import { listenForReady, notifyFolder, type ReadyListener, startAndNotify } from './notify-socket.js';

interface RunFlags extends CreateFlags {
  readonly detach?: boolean;
  readonly keep?: boolean;
}

export function runCommand(context: OciContext): Command {
  return addCreateOptions(new Command('run'))
    .option('-d, --detach', 'do not wait for it')
    .option('--keep', 'do not delete it when it ends')
    .option('--no-subreaper', 'accepted: nothing of ours is a subreaper')
    .action(async (id: string, given: RunFlags) => {
      const flags = withoutEmpty(given);
      if (flags.detach) return runDetached(context, id, flags);
      process.exitCode = await foreground(context, id, flags);
    });
}

async function runDetached(context: OciContext, id: string, flags: CreateFlags): Promise<void> {
  const container = await createDetached(context, id, flags);
  try {
    await startAndNotify(context, container);
  } catch (error) {
    await container.delete({ force: true });
    throw error;
  }
}

async function foreground(context: OciContext, id: string, flags: RunFlags): Promise<number> {
  if (flags.consoleSocket !== undefined)
    throw new TareError('usage', '--console-socket is for a container that nobody waits for: add --detach');
  const { pidFile } = flags;
  const bundle = loadBundle(flags.bundle);
  const warn = (sentence: string) => warning(context.globals, sentence);
  let listener: ReadyListener | undefined;
  let relayed: Promise<void> | undefined;
  const code = await runInForeground({
    ...creation(context, id, bundle, flags),
    folder: notifyFolder(context.root, id, (directory) => {
      listener = listenForReady(directory);
    }),
    input: true,
    program: 'tare-oci',
    keep: flags.keep,
    onWarning: warn,
    onStarted: (pid) => {
      if (pidFile !== undefined) writePidFile(pidFile, pid);
      // The service is this process, which ends with the container.
      relayed = listener?.relay(warn, pid, process.pid);
    },
  });
  await relayed;
  return code;
}
