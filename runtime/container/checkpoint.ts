/**
 * A checkpoint: the processes of a container, their memory and what they have open, as files of CRIU; and beside them a file of ours
 * that names what comes from outside, for the restore to give it anew. criu(8); runc-checkpoint(8).
 */
import { spawn } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { TareError } from '../kernel/error.js';
import { writeFileAtomic } from '../kernel/files.js';
import { type MountInfo, parseMountInfo } from '../kernel/mountinfo.js';
import type { Config } from '../oci/index.js';
import {
  type CriuOptions,
  cgroupKey,
  commonOptions,
  criuFailure,
  findCriu,
  joinedNetwork,
  NETWORK_KEY,
} from './criu.js';
import type { StoredState } from './stored-state.js';

/** For `Container.checkpoint`: runc's options of the same names. runc-checkpoint(8), criu(8) */
export interface CheckpointOptions extends CriuOptions {
  /** Images of an earlier `preDump`, relative to `images`. */
  readonly parent?: string;
  /** The container goes on afterwards; else it has ended. */
  readonly leaveRunning?: boolean;
  /** Only the memory, while it goes on; the checkpoint itself then takes what has changed. */
  readonly preDump?: boolean;
  readonly tcpSkipInFlight?: boolean;
  readonly linkRemap?: boolean;
  /** `ADDRESS:PORT`: where the pages go, instead of into the images. */
  readonly pageServer?: string;
  /** A descriptor of this process, to which criu writes when the lazy pages can be had. */
  readonly statusFd?: number;
}

/** What comes from outside, by the names that it has in the images. */
export interface Externals {
  readonly formatVersion: 1;
  /** Of the standard streams; null for one that is the container's own. */
  readonly stdio: readonly (string | null)[];
  readonly network: boolean;
}

export const EXTERNALS = 'tare.json';

/** @throws TareError `not-found` without criu, `unsupported` for a container with a terminal, `system-call` when criu fails */
export async function checkpoint(stored: StoredState, config: Config, options: CheckpointOptions): Promise<void> {
  const { init } = stored;
  if (!init) throw new TareError('state', 'the container has no process to write down');
  const criu = findCriu(options.criu);
  const { images, work = images, preDump = false } = options;
  // What is restored in a user namespace looks for files here that are not always there; those that are there are root's.
  for (const folder of [images, work]) mkdirSync(folder, { recursive: true, mode: 0o711 });
  const mounts = parseMountInfo(readFileSync(`/proc/${init.pid}/mountinfo`, 'utf8'));
  const stdio = preDump ? [] : [0, 1, 2].map((fd) => streamKey(init.pid, fd, mounts));
  const network = joinedNetwork(config) !== undefined;
  const command = preDump ? 'pre-dump' : 'dump';
  const log = `${command}.log`;
  const args = [
    command,
    '--tree',
    `${init.pid}`,
    ...commonOptions(options, log),
    ...ownOptions(options),
    ...freezer(stored),
    ...[...new Set(stdio)].flatMap((key) => (key?.startsWith('file') ? ['--external', key] : [])),
    ...(network ? ['--external', `net[${statSync(`/proc/${init.pid}/ns/net`).ino}]:${NETWORK_KEY}`] : []),
    ...mounts.flatMap((mount) => mountKey(mount, stored, config)),
  ];
  const how = await run(criu, args, options.statusFd);
  if (how !== undefined) throw criuFailure(`type ${command}`, how, resolve(work, log));
  const externals: Externals = { formatVersion: 1, stdio, network };
  if (!preDump) writeFileAtomic(join(images, EXTERNALS), `${JSON.stringify(externals)}\n`);
}

function ownOptions(options: CheckpointOptions): string[] {
  const { parent, leaveRunning, preDump, tcpSkipInFlight, linkRemap, pageServer, statusFd } = options;
  return [
    ...(leaveRunning && !preDump ? ['--leave-running'] : []),
    ...(tcpSkipInFlight ? ['--skip-in-flight'] : []),
    ...(linkRemap ? ['--link-remap'] : []),
    ...(preDump || parent ? ['--track-mem'] : []),
    ...(parent ? ['--prev-images-dir', checkedParent(options.images, parent)] : []),
    ...(pageServer ? pageServerOptions(pageServer) : []),
    ...(statusFd === undefined ? [] : ['--status-fd', '3']),
  ];
}

function checkedParent(images: string, parent: string): string {
  if (isAbsolute(parent)) throw new TareError('usage', '--parent-path must be relative');
  if (statSync(join(images, parent), { throwIfNoEntry: false })?.isDirectory()) return parent;
  throw new TareError('usage', `invalid --parent-path: ${join(images, parent)} is no folder`);
}

function pageServerOptions(text: string): string[] {
  const match = /^(.+):(\d{1,5})$/.exec(text);
  if (!match) throw new TareError('usage', 'Use --page-server ADDRESS:PORT to specify page server');
  return ['--page-server', '--address', match[1] as string, '--port', match[2] as string];
}

/** Frozen while they are written down, so that none is born meanwhile; also where the container is paused. */
function freezer({ cgroup }: StoredState): string[] {
  const place =
    cgroup.find(({ controllers }) => controllers.includes('freezer')) ?? cgroup.find((one) => one.version === 2);
  return place ? ['--freeze-cgroup', place.directory] : [];
}

/** The name of a stream that the container cannot open by itself: a pipe, or a file of another mount namespace. */
function streamKey(pid: number, number: number, mounts: readonly MountInfo[]): string | null {
  const path = `/proc/${pid}/fd/${number}`;
  if (!lstatSync(path, { throwIfNoEntry: false })) return null;
  const target = readlinkSync(path);
  if (/^pipe:\[\d+\]$/.test(target)) return target;
  const mountId = Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${number}`, 'utf8'))?.[1]);
  if (/^\/dev\/(pts\/|console$|tty)/.test(target)) {
    const why = 'its standard streams are a terminal, whose other end only its owner has';
    throw new TareError('unsupported', `the container cannot be checkpointed: ${why}`);
  }
  if (!target.startsWith('/') || mounts.some(({ id }) => id === mountId)) return null;
  // As criu writes it; stat follows the link to the file itself.
  return `file[${mountId.toString(16)}:${statSync(path).ino.toString(16)}]`;
}

/** Cgroups have other paths in the next container, and volumes may have other sources. */
function mountKey({ mountPoint, fsType, superOptions }: MountInfo, { cgroup }: StoredState, config: Config): string[] {
  if (fsType === 'cgroup' || fsType === 'cgroup2') {
    const place = cgroup.find(({ version, controllers }) =>
      version === 2 ? fsType === 'cgroup2' : controllers.every((name) => superOptions.includes(name)),
    );
    return place ? ['--external', `mnt[${mountPoint}]:${cgroupKey(place)}`] : [];
  }
  const isBind = config.mounts?.some(
    ({ destination, options = [] }) =>
      resolve(destination) === mountPoint && (options.includes('bind') || options.includes('rbind')),
  );
  return isBind ? ['--external', `mnt[${mountPoint}]:${mountPoint}`] : [];
}

/** Undefined when it ended well; else how it ended. */
function run(criu: string, args: readonly string[], statusFd?: number): Promise<string | undefined> {
  return new Promise((done, reject) => {
    const stdio = ['ignore', 'ignore', 'ignore', ...(statusFd === undefined ? [] : [statusFd])] as const;
    const child = spawn(criu, args, { stdio: [...stdio] });
    child.once('error', (cause) =>
      reject(new TareError('system-call', `criu cannot be run: ${cause.message}`, { cause })),
    );
    child.once('close', (code, signal) =>
      done(code === 0 ? undefined : signal ? `killed by ${signal}` : `exit code ${code}`),
    );
  });
}
