/**
 * The options that say which container: a bundle, or a root file system with the defaults of Tare. `run`, `plan` and `step`
 * have them in common.
 */
import { isAbsolute, resolve } from 'node:path';
import type { Command } from 'commander';
import { type DefaultOptions, defaultConfig } from '../container/index.js';
import { TareError } from '../kernel/error.js';
import { hasOneUser } from '../kernel/user-namespace.js';
import { type Bundle, loadBundle, MAX_USER_ID, validConfig } from '../oci/index.js';
import { collect } from './collect.js';
import { addConfigOptions, CONFIG_OPTIONS, type ConfigOptions, withConfigOptions } from './config-options.js';
import { readEnvFile } from './env-file.js';
import { parseMount, parseTmpfs, parseVolume } from './mount-options.js';
import { parseSize } from './sizes.js';

export interface ContainerOptions extends ConfigOptions {
  readonly bundle?: string;
  readonly rootfs?: string;
  readonly hostname?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly memory?: string;
  readonly pidsLimit?: string;
  readonly cpus?: string;
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly init?: boolean;
  readonly readOnly?: boolean;
  readonly volume?: readonly string[];
  readonly mount?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly envFile?: readonly string[];
  readonly entrypoint?: string;
  readonly userns?: string;
  readonly platform?: string;
  readonly pull?: string;
}

/** Adds the options to a command. */
export function addContainerOptions(command: Command): Command {
  command
    .usage(
      '[options] IMAGE [COMMAND...]\n       … [options] --rootfs DIR -- COMMAND...\n       … [options] --bundle DIR [-- COMMAND...]',
    )
    .argument('[words...]', 'an image, unless a folder is given; the command and its arguments')
    .option('--rootfs <dir>', 'the root file system: a folder')
    .option('--bundle <dir>', 'an OCI bundle: a folder with config.json and a root file system')
    .option('--hostname <name>', 'its host name')
    .option('-i, --interactive', 'with -t: pass on what is typed')
    .option('-t, --tty', 'give it a terminal')
    .option('-m, --memory <size>', 'limit its memory: 64m, 1g')
    .option('--pids-limit <number>', 'limit the number of its processes')
    .option('--cpus <number>', 'limit its processor time: 0.5 is half of one')
    .option('-e, --env <NAME=value>', 'set an environment variable', collect)
    .option('-w, --workdir <dir>', 'where the command starts')
    .option('--env-file <file>', 'set those of a file: NAME=value, a line each', collect)
    .option('-u, --user <user[:group]>', 'run as this user: of an image by name or number, else by number')
    .option('--init', 'run Tare’s init as process 1: it reaps zombies and forwards signals')
    .option('--read-only', 'make the root file system read-only')
    .option('-v, --volume <src:dst[:ro]>', 'show a file or folder of the host', collect)
    .option(
      '--mount <type=...>',
      'the same in words: type=bind,source=./x,target=/x,readonly or type=tmpfs,target=/x',
      collect,
    )
    .option('--tmpfs <dir[:options]>', 'an empty folder in memory: /run:size=64m,mode=755', collect)
    .option('--entrypoint <program>', 'of an image: run this in place of its entrypoint; "" for none')
    .option('--userns <first[:size]>', 'of an image: in a user namespace, whose users are these of the host')
    .option('--platform <os/arch>', 'of an image: for this platform')
    .option('--pull <when>', 'of an image: always, missing or never fetch it from its registry')
    .passThroughOptions();
  return addConfigOptions(command);
}

/** The bundle that the options describe. @throws TareError `usage`, and whatever loading a bundle throws */
export function bundleOf(
  options: ContainerOptions,
  command: readonly string[],
  size?: { columns: number; rows: number },
): Bundle {
  if (options.bundle !== undefined && options.rootfs !== undefined) {
    throw new TareError('usage', 'give either --bundle or --rootfs: a bundle has its own root file system');
  }
  for (const name of ['bundle', 'rootfs'] as const) {
    // The empty path would be the current folder: what `--rootfs "$UNSET"` does not mean.
    if (options[name] === '') throw new TareError('usage', `--${name} is empty: it must name a folder`);
  }
  if (options.bundle !== undefined) return bundleWithCommand(options.bundle, options, command);
  if (options.rootfs === undefined) {
    throw new TareError('usage', 'give --rootfs DIR or --bundle DIR: a container needs a root file system');
  }
  const settings = settingsOf(options, size);
  if (command.length === 0) throw new TareError('usage', 'give a command to run, after "--"');
  const rootfs = resolve(options.rootfs);
  const user = options.user === undefined ? undefined : parseUser(options.user);
  const config = withConfigOptions(defaultConfig({ ...settings, rootfs, args: command, user }), options);
  return { path: rootfs, rootfs, config: validConfig(config, 'the command line') };
}

/** What they say of any container. @throws TareError `usage` */
export function settingsOf(
  options: ContainerOptions,
  size?: { columns: number; rows: number },
): Omit<DefaultOptions, 'rootfs' | 'args' | 'user'> {
  if (options.workdir !== undefined && !isAbsolute(options.workdir)) {
    throw new TareError('usage', `--workdir ${options.workdir}: must be an absolute path, as the container sees it`);
  }
  const env = [
    ...(options.envFile ?? []).flatMap((path) => readEnvFile(path)),
    ...(options.env ?? []).flatMap(environmentEntry),
  ];
  return {
    hostname: options.hostname,
    terminal: options.tty,
    size,
    env: env.length > 0 ? env : undefined,
    cwd: options.workdir,
    readonlyRoot: options.readOnly,
    mounts: [
      ...(options.volume ?? []).map(parseVolume),
      ...(options.mount ?? []).map(parseMount),
      ...(options.tmpfs ?? []).map(parseTmpfs),
    ],
    limits: {
      memory: options.memory === undefined ? undefined : parseSize('--memory', options.memory),
      pids: options.pidsLimit === undefined ? undefined : parseCount(options.pidsLimit),
      cpus: options.cpus === undefined ? undefined : parseCpus(options.cpus),
    },
    caller: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, oneUser: hasOneUser() },
  };
}

/** A bundle is run as it is written, except for its command, which may be replaced. */
function bundleWithCommand(folder: string, options: ContainerOptions, command: readonly string[]): Bundle {
  for (const [name, flag] of ROOTFS_ONLY) {
    if (options[name] !== undefined) {
      throw new TareError('usage', `${flag} does not go with --bundle: a bundle says it in its config.json`);
    }
  }
  const bundle = loadBundle(folder);
  const { process } = bundle.config;
  if (command.length === 0 || process === undefined) return bundle;
  return { ...bundle, config: { ...bundle.config, process: { ...process, args: command } } };
}

const ROOTFS_ONLY: readonly (readonly [keyof ContainerOptions, string])[] = [
  ['hostname', '--hostname'],
  ['interactive', '-i'],
  ['tty', '-t'],
  ['memory', '--memory'],
  ['pidsLimit', '--pids-limit'],
  ['cpus', '--cpus'],
  ['env', '--env'],
  ['envFile', '--env-file'],
  ['workdir', '--workdir'],
  ['user', '--user'],
  ['readOnly', '--read-only'],
  ['volume', '--volume'],
  ['mount', '--mount'],
  ['tmpfs', '--tmpfs'],
  ...CONFIG_OPTIONS,
];

/** `-e NAME` alone passes on the caller's, where they have one. */
function environmentEntry(entry: string): string[] {
  if (entry === '' || entry.startsWith('=')) throw new TareError('usage', `--env ${entry}: must be NAME=value or NAME`);
  if (entry.includes('=')) return [entry];
  return process.env[entry] === undefined ? [] : [`${entry}=${process.env[entry]}`];
}

/** Never becomes 0 by accident: neither 2^32 nor -1 nor text is a user (CVE-2024-40635). */
export function parseUser(text: string): { uid: number; gid: number } {
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
  const [uid, gid] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (!match || uid > MAX_USER_ID || gid > MAX_USER_ID) {
    throw new TareError('usage', `--user ${text}: must be UID or UID:GID, numbers from 0 to ${MAX_USER_ID}`);
  }
  return { uid, gid };
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 2 ** 22) {
    throw new TareError('usage', `--pids-limit ${text}: must be a number from 1 to ${2 ** 22}`);
  }
  return count;
}

function parseCpus(text: string): number {
  const cpus = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || cpus < 0.01 || cpus > 10_000) {
    throw new TareError('usage', `--cpus ${text}: must be a number such as 0.5, at least 0.01`);
  }
  return cpus;
}
