/** `tare-oci restore`: makes a container of a checkpoint. runc-restore(8). */
import { Command } from 'commander';
import { Container } from '../../container/index.js';
import { TareError } from '../../kernel/error.js';
import { loadBundle } from '../../oci/index.js';
import { deleteQuietly } from '../run.js';
import { SignalForwarder } from '../signal-forwarder.js';
import type { OciContext } from './context.js';
import { withoutEmpty, writePidFile } from './create-options.js';
import { addCriuOptions, type CriuFlags, criuOptions } from './criu-options.js';
import { warning } from './log.js';

interface RestoreFlags extends CriuFlags {
  readonly bundle: string;
  readonly detach?: boolean;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  readonly lsmProfile?: string;
  readonly lsmMountContext?: string;
}

export function restoreCommand(context: OciContext): Command {
  return addCriuOptions(new Command('restore'))
    .option('-b, --bundle <dir>', 'the bundle: a folder with config.json', (text) => text || '.', '.')
    .option('-d, --detach', 'do not wait for it')
    .option('--pid-file <file>', 'write the pid of its first process to this file')
    .option('--console-socket <path>', 'refused: a container with a terminal cannot be checkpointed')
    .option('--no-subreaper', 'accepted: nothing of ours is a subreaper')
    .option('--no-pivot', 'accepted: criu enters the root in its own way')
    .option('--lsm-profile <type:name>', 'another profile of AppArmor or SELinux')
    .option('--lsm-mount-context <context>', 'another SELinux context of its mounts')
    .action(async (id: string, flags: RestoreFlags) => {
      const { bundle, detach, pidFile, consoleSocket, lsmProfile, lsmMountContext, ...common } = withoutEmpty(flags);
      if (consoleSocket !== undefined)
        throw new TareError('unsupported', '--console-socket: a container with a terminal cannot be checkpointed');
      if (context.globals.systemdCgroup)
        throw new TareError('unsupported', '--systemd-cgroup: a restore makes its cgroup itself, without systemd');
      const container = await Container.restore({
        ...criuOptions(context, common),
        id,
        bundle: loadBundle(bundle),
        stateRoot: context.root,
        lsmProfile,
        lsmMountContext,
        onWarning: (sentence) => warning(context.globals, sentence),
      });
      if (pidFile !== undefined) await writePidOrDelete(container, pidFile);
      if (!detach) await foreground(container);
    });
}

/** Who is not told of it would not end it. */
async function writePidOrDelete(container: Container, pidFile: string): Promise<void> {
  try {
    const { pid } = container.state();
    if (pid !== undefined) writePidFile(pidFile, pid);
  } catch (error) {
    await deleteQuietly(container);
    throw error;
  }
}

/** Until it ends; it is removed then, and what it is sent meanwhile reaches it. */
async function foreground(container: Container): Promise<void> {
  const signals = new SignalForwarder();
  try {
    signals.forwardTo(container);
    await container.ended();
  } finally {
    signals.stop();
    await deleteQuietly(container);
  }
}
