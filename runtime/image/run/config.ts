/**
 * From an image's configuration to a container's: what the image says, unless the command line says otherwise, on top of the container that Tare
 * makes by default. conversion.md of the image specification, "Verbatim Fields", "Optional Fields".
 */
import { posix } from 'node:path';
import { type DefaultOptions, defaultConfig, PATH, userOf } from '../../container/index.js';
import { TareError } from '../../kernel/error.js';
import type { ImageConfig } from '../../oci/image/index.js';
import { type Config, type IdMapping, type Mount, type User, validConfig } from '../../oci/index.js';
import { imageAnnotations } from './annotations.js';

/** What the command line says; what it leaves out is as the image has it. */
export interface RunSettings extends Omit<DefaultOptions, 'rootfs' | 'args' | 'user' | 'env' | 'mounts'> {
  /** In place of the image's Cmd. */
  readonly command?: readonly string[];
  /** In place of its Entrypoint, and then there is no Cmd but `command`. Empty: none. */
  readonly entrypoint?: readonly string[];
  /** `NAME=value`. */
  readonly env?: readonly string[];
  /** `UID[:GID]`, `NAME[:GROUP]`, as the image knows them. */
  readonly user?: string;
  readonly mounts?: readonly Mount[];
  /** Of a user namespace of its own: the image's files belong to these on the disk too, unchanged. */
  readonly idMappings?: readonly IdMapping[];
}

/**
 * @param root the image's tree as this process sees it, for users by name: a folder, or `/proc/self/fd/N`
 * @param rootfs the folder over which the container's root will be mounted
 * @throws TareError `usage` where there is no command; `not-found` for a user that the image does not have; `config`
 */
export function containerConfig(image: ImageConfig, settings: RunSettings, root: string, rootfs: string): Config {
  const { config: own = {} } = image;
  const { command: _, entrypoint: __, user: ___, env: ____, idMappings, ...options } = settings;
  const user = possibleUser(userOf(root, settings.user ?? own.User ?? ''), settings);
  const config = defaultConfig({
    ...options,
    // Of a few users none has the group of terminals.
    ...(idMappings && !idMappings.some(hasTty) && { caller: { ...options.caller, oneUser: true } }),
    rootfs,
    args: argsOf(own, settings),
    cwd: settings.cwd ?? posix.resolve('/', own.WorkingDir ?? ''),
    user,
  });
  const { process } = config;
  return validConfig(
    {
      ...config,
      ...(process && { process: { ...process, user, env: environmentOf(own.Env ?? [], settings) } }),
      linux: { ...config.linux, ...(idMappings && userNamespace(config, idMappings)) },
      annotations: imageAnnotations(image),
    },
    'the image’s configuration',
  );
}

/** Group 5 is Debian's tty, and that of devpts in containers. */
function hasTty({ containerID, size }: IdMapping): boolean {
  return containerID <= 5 && 5 < containerID + size;
}

/** Entrypoint and Cmd, one after the other. @throws TareError `usage` */
function argsOf(own: NonNullable<ImageConfig['config']>, { command = [], entrypoint }: RunSettings): string[] {
  const begin = entrypoint ?? own.Entrypoint ?? [];
  const rest = command.length > 0 || entrypoint !== undefined ? command : (own.Cmd ?? []);
  const args = [...begin, ...rest];
  if (args.length === 0) throw new TareError('usage', 'the image names no command: give one after its name');
  return args;
}

/** Each variable once: the image's own, in its order, with the values of who runs it, and PATH. HOME is that of each process: `Bundle.home`. */
function environmentOf(own: readonly string[], settings: RunSettings): string[] {
  const { env = [], hostname } = settings;
  const variables = new Map<string, string>([['PATH', PATH.slice('PATH='.length)]]);
  if (hostname !== undefined) variables.set('HOSTNAME', hostname);
  if (settings.terminal) variables.set('TERM', 'xterm');
  for (const entry of [...own, ...env]) {
    const at = entry.indexOf('=');
    // Of an image: a name alone has no value, and no name is no variable.
    if (at > 0) variables.set(entry.slice(0, at), entry.slice(at + 1));
    else if (at < 0 && entry !== '') variables.set(entry, '');
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** In a user namespace of one user nobody is anybody else. user_namespaces(7). @throws TareError `unsupported` */
function possibleUser(user: User, { caller }: RunSettings): User {
  if (caller.uid === 0 && !caller.oneUser) return user;
  const { uid, gid } = user;
  if (uid === 0 && gid === 0) return { uid, gid };
  throw new TareError(
    'unsupported',
    `the container is to run as user ${uid} and group ${gid}, and the only one here is root: run it with --user 0, or have users lent to you in /etc/subuid`,
  );
}

function userNamespace(config: Config, mappings: readonly IdMapping[]): Config['linux'] {
  return {
    namespaces: [{ type: 'user' }, ...(config.linux?.namespaces ?? [])],
    uidMappings: mappings,
    gidMappings: mappings,
  };
}
