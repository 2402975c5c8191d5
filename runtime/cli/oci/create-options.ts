/**
 * What `create` and `run` have in common: their options, as runc has them, and what these mean for the container. A terminal that
 * nobody here will proxy goes to the socket of `--console-socket`.
 */
import { readlinkSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { Container, type CreateOptions } from '../../container/index.js';
import { native } from '../../kernel/addon.js';
import { TareError } from '../../kernel/error.js';
import { writeFileAtomic } from '../../kernel/files.js';
import { type Bundle, loadBundle } from '../../oci/index.js';
import { CREATE } from '../../plan/index.js';
import { sendConsole, sendPidfd } from './console-socket.js';
import type { OciContext } from './context.js';
import { debugging } from './debug.js';
import { warning } from './log.js';
import { notifyFolder, withNotifySocket } from './notify-socket.js';
import { parseRootless } from './rootless.js';

export interface CreateFlags {
  readonly bundle: string;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  readonly pidfdSocket?: string;
  /** False with `--no-pivot`. */
  readonly pivot: boolean;
  /** False with `--no-new-keyring`. */
  readonly newKeyring: boolean;
  readonly preserveFds: string;
}

export function addCreateOptions(command: Command): Command {
  return command
    .argument('<container-id>', 'a name of its own on this machine')
    .option('-b, --bundle <dir>', 'the bundle: a folder with config.json', (text) => text || '.', '.')
    .option('--console-socket <path>', 'send the terminal’s master to this socket')
    .option('--pidfd-socket <path>', 'send a pidfd of its first process to this socket')
    .option('--pid-file <file>', 'write the pid of its first process to this file')
    .option('--no-pivot', 'do not use pivot_root: for a root in an initramfs, which cannot be left')
    .option('--no-new-keyring', 'keep the session keyring of the caller')
    .option('--preserve-fds <number>', 'pass on so many descriptors, from 3 on', '0');
}

/** As runc has it, an option with an empty text is not given: scripts write `--pid-file "$file"`. */
export function withoutEmpty<T extends object>(flags: T): T {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== '')) as T;
}

/** Creates the container and leaves it waiting; its terminal and its pid are where the options say. */
export async function createDetached(context: OciContext, id: string, flags: CreateFlags): Promise<Container> {
  const bundle = loadBundle(flags.bundle);
  checkTerminal(bundle, flags);
  const container = await Container.create(creation(context, id, bundle, flags));
  try {
    handOver(container, flags);
  } catch (error) {
    await container.delete({ force: true });
    throw error;
  }
  return container;
}

/** What the library is told. */
export function creation(context: OciContext, id: string, bundle: Bundle, flags: CreateFlags): CreateOptions {
  return {
    id,
    bundle: withNotifySocket(withListening(bundle), context.root, id),
    stateRoot: context.root,
    folder: notifyFolder(context.root, id),
    supervisor: 'caller',
    preserveFds: preserved(flags.preserveFds),
    noPivot: !flags.pivot,
    noNewKeyring: !flags.newKeyring,
    rootless: parseRootless(context.globals.rootless),
    systemdCgroup: context.globals.systemdCgroup,
    onWarning: (sentence) => warning(context.globals, sentence),
    ...debugging(context),
  };
}

/** Tells the program of the descriptors that systemd's socket activation has for it, which is process 1 there. sd_listen_fds(3) */
function withListening(bundle: Bundle): Bundle {
  const { process: given } = bundle.config;
  const count = listeningFds();
  if (count === 0 || given === undefined) return bundle;
  const env = [...(given.env ?? []), `LISTEN_FDS=${count}`, 'LISTEN_PID=1'];
  return { ...bundle, config: { ...bundle.config, process: { ...given, env } } };
}

function checkTerminal({ config }: Bundle, { consoleSocket }: CreateFlags): void {
  const terminal = config.process?.terminal ?? false;
  if (terminal && consoleSocket === undefined) {
    throw new TareError(
      'usage',
      'the container has a terminal, and nobody would hold its other end: --console-socket says who does',
    );
  }
  if (!terminal && consoleSocket !== undefined) {
    throw new TareError('usage', '--console-socket is given, and process.terminal of config.json is not true');
  }
}

function handOver(container: Container, { consoleSocket, pidfdSocket, pidFile }: CreateFlags): void {
  const master = container.run?.take(CREATE.console);
  if (master !== undefined) {
    try {
      if (consoleSocket !== undefined) sendConsole(consoleSocket, master);
    } finally {
      native.close(master);
    }
  }
  const { pid } = container.state();
  if (pid === undefined) throw new TareError('state', 'the container has ended before it could be started');
  if (pidfdSocket !== undefined) sendPidfd(pidfdSocket, pid);
  if (pidFile !== undefined) writePidFile(pidFile, pid);
}

/** By rename: who waits for the file never reads half a number. @throws TareError `usage` */
export function writePidFile(path: string, pid: number): void {
  try {
    // A file that is no plain one (/dev/stdout) cannot be replaced.
    if (path.startsWith('/dev/')) writeFileSync(path, String(pid));
    else writeFileAtomic(path, String(pid));
  } catch (cause) {
    throw new TareError('usage', `--pid-file ${path} cannot be written: ${(cause as Error).message}`, { cause, path });
  }
}

/**
 * `--preserve-fds`, and those of systemd's socket activation, sd_listen_fds(3), which are for the container's own program.
 * @throws TareError `usage`
 */
export function preserved(text: string, listening = listeningFds()): number {
  const number = Number(text);
  if (!/^\d{1,3}$/.test(text))
    throw new TareError('usage', `--preserve-fds takes a number of descriptors, not "${text}"`);
  const count = number + listening;
  for (let fd = 3; fd < 3 + count; fd++) {
    if (!isGiven(fd)) throw new TareError('usage', `--preserve-fds ${text}: descriptor ${fd} is not open`);
  }
  return count;
}

/** Whether the caller has opened it. Node takes the lowest number that is free for its own event loop, which nobody else hands on. */
function isGiven(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) !== 'anon_inode:[eventpoll]';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** None where the variables were meant for a process above this one: its numbers are other descriptors here, of Node itself. */
export function listeningFds({ LISTEN_FDS = '', LISTEN_PID } = process.env): number {
  return LISTEN_PID === String(process.pid) && /^\d{1,3}$/.test(LISTEN_FDS) ? Number(LISTEN_FDS) : 0;
}
