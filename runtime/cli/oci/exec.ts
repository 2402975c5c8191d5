/**
 * `tare-oci exec`: another program in a container, as a process.json or options describe it. In the foreground its exit code is ours;
 * with `--detach` it is left to the caller's subreaper. runc-exec(8).
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { type Container, changedProcess, type Exec, type ExecOptions } from '../../container/index.js';
import { native } from '../../kernel/addon.js';
import { TareError } from '../../kernel/error.js';
import { identityOf, killProcess } from '../../kernel/process-identity.js';
import { type Config, type Process, parseDocument, validProcess } from '../../oci/index.js';
import { collect } from '../collect.js';
import { execInForeground } from '../exec-foreground.js';
import { windowSize } from '../terminal-proxy.js';
import { sendConsole, sendPidfd } from './console-socket.js';
import type { OciContext } from './context.js';
import { preserved, withoutEmpty, writePidFile } from './create-options.js';
import { debugging } from './debug.js';
import { warning } from './log.js';

interface ExecFlags {
  readonly consoleSocket?: string;
  readonly pidfdSocket?: string;
  readonly cwd?: string;
  readonly env?: readonly string[];
  readonly tty?: boolean;
  readonly user?: string;
  readonly additionalGids?: readonly string[];
  readonly process?: string;
  readonly detach?: boolean;
  readonly pidFile?: string;
  readonly processLabel?: string;
  readonly apparmor?: string;
  readonly newPrivs?: boolean;
  readonly cap?: readonly string[];
  readonly preserveFds: string;
  readonly cgroup?: readonly string[];
  readonly ignorePaused?: boolean;
}

export function execCommand(context: OciContext): Command {
  return new Command('exec')
    .argument('<container-id>')
    .argument('[command...]', 'the program and its arguments; not with --process')
    .option('--console-socket <path>', 'send the terminal’s master to this socket')
    .option('--pidfd-socket <path>', 'send a pidfd of the process to this socket')
    .option('--cwd <dir>', 'where the program starts')
    .option('-e, --env <NAME=value>', 'set an environment variable', collect)
    .option('-t, --tty', 'give it a terminal')
    .option('-u, --user <user>', 'run as this user: UID[:GID], or names that the container knows')
    .option('-g, --additional-gids <gid>', 'another group that it is in', collect)
    .option('-p, --process <file>', 'a process.json that says all of this')
    .option('-d, --detach', 'do not wait for it')
    .option('--pid-file <file>', 'write its pid to this file')
    .option('--process-label <label>', 'its SELinux label')
    .option('--apparmor <profile>', 'its AppArmor profile')
    .option('--no-new-privs', 'no program that it starts gets more rights than it has')
    .option('-c, --cap <name>', 'another capability that it has', collect)
    .option('--preserve-fds <number>', 'pass on so many descriptors, from 3 on', '0')
    .option('--cgroup <path>', 'a cgroup below the container’s: [CONTROLLERS:]PATH', collect)
    .option('--ignore-paused', 'also in a paused container, where it waits')
    .passThroughOptions()
    .action(async (id: string, words: string[], flags: ExecFlags) => {
      process.exitCode = await exec(context, id, words, withoutEmpty(flags));
    });
}

async function exec(context: OciContext, id: string, words: readonly string[], flags: ExecFlags): Promise<number> {
  const container = context.open(id);
  const wanted = processOf(container, words, flags);
  checkTerminal(wanted, flags);
  const options: ExecOptions = {
    process: wanted,
    preserveFds: preserved(flags.preserveFds, 0),
    cgroup: flags.cgroup,
    ignorePaused: flags.ignorePaused,
    onWarning: (sentence) => warning(context.globals, sentence),
    ...debugging(context),
  };
  const { detach, pidFile, pidfdSocket } = flags;
  if (detach) {
    await handOver(await container.exec({ ...options, supervisor: 'caller' }), flags);
    return 0;
  }
  return execInForeground(container, {
    ...options,
    input: true,
    onStarted: (pid) => {
      if (pidfdSocket !== undefined) sendPidfd(pidfdSocket, pid);
      if (pidFile !== undefined) writePidFile(pidFile, pid);
    },
  });
}

function processOf(container: Container, words: readonly string[], flags: ExecFlags): Process {
  const config = container.config;
  if (flags.process !== undefined) return readProcess(flags.process, config);
  const { cwd, env, user, additionalGids, cap, tty, newPrivs, apparmor, processLabel } = flags;
  const size = windowSize();
  return changedProcess(config, {
    args: words,
    env,
    cwd,
    user: user === undefined ? undefined : container.parseUser(user),
    additionalGids: additionalGids?.map(parseGid),
    capabilities: cap,
    terminal: tty,
    consoleSize: size && { width: size.columns, height: size.rows },
    // Commander's --no-x makes x true where it is not given.
    noNewPrivileges: newPrivs === false ? true : undefined,
    apparmorProfile: apparmor,
    selinuxLabel: processLabel,
  });
}

function readProcess(file: string, config: Config): Process {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new TareError('usage', `--process ${file}: ${(cause as Error).message}`, { cause, path: file });
  }
  return validProcess(parseDocument(text, file), config.linux, file);
}

function parseGid(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new TareError('usage', `--additional-gids ${text}: must be a number`);
  return Number(text);
}

function checkTerminal({ terminal = false }: Process, { detach = false, consoleSocket }: ExecFlags): void {
  if (detach && terminal && consoleSocket === undefined)
    throw new TareError('usage', 'cannot allocate tty if it is detached without setting console socket');
  if (consoleSocket !== undefined && !(detach && terminal))
    throw new TareError('usage', 'cannot use console socket if it does not detach or allocate tty');
}

/** It runs already: if nobody can be told of it, it goes. */
async function handOver(started: Exec, { consoleSocket, pidfdSocket, pidFile }: ExecFlags): Promise<void> {
  try {
    if (started.console !== undefined && consoleSocket !== undefined) sendConsole(consoleSocket, started.console);
    if (pidfdSocket !== undefined) sendPidfd(pidfdSocket, started.pid);
    if (pidFile !== undefined) writePidFile(pidFile, started.pid);
  } catch (error) {
    const identity = identityOf(started.pid);
    if (identity) killProcess(identity);
    throw error;
  } finally {
    if (started.console !== undefined) native.close(started.console);
  }
}
