/**
 * CRIU, which writes the processes of a container to files and makes them again: where it is, what its options are called, and what it
 * said when it failed. What of the container comes from outside of it (its standard streams, cgroup mounts, bind mounts, a network
 * namespace that it has joined) is named in the dump and given anew in the restore. criu(8).
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import type { CgroupPlace } from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import type { Config } from '../oci/index.js';

/** What dump and restore have in common: runc's options of the same names. */
export interface CriuOptions {
  /** The program, if it is not in PATH. */
  readonly criu?: string;
  /** The folder of the images. */
  readonly images: string;
  /** The folder of logs and work files; that of the images unless told. */
  readonly work?: string;
  readonly tcpEstablished?: boolean;
  readonly extUnixSk?: boolean;
  readonly shellJob?: boolean;
  readonly fileLocks?: boolean;
  readonly autoDedup?: boolean;
  readonly lazyPages?: boolean;
  /** Namespaces that are made anew instead of as they were: `network`. */
  readonly emptyNs?: readonly string[];
}

/** Options that dump and restore share. @throws TareError `usage` */
export function commonOptions(options: CriuOptions, log: string): string[] {
  const { images, work = images, emptyNs = [] } = options;
  for (const name of emptyNs)
    if (name !== 'network') throw new TareError('usage', `namespace ${JSON.stringify(name)} is not supported`);
  const flags: [boolean | undefined, string][] = [
    [options.tcpEstablished, '--tcp-established'],
    [options.extUnixSk, '--ext-unix-sk'],
    [options.shellJob, '--shell-job'],
    [options.fileLocks, '--file-locks'],
    [options.autoDedup, '--auto-dedup'],
    [options.lazyPages, '--lazy-pages'],
    [emptyNs.length > 0, '--empty-ns'],
  ];
  return [
    '--images-dir',
    resolve(images),
    '--work-dir',
    resolve(work),
    '--log-file',
    log,
    '-v4',
    // Cgroups are the runtime's affair: what is restored is born in those of the new container.
    '--manage-cgroups=ignore',
    // What is neither named nor the container's own, but is in sight of criu as well: a masking /dev/null, a volume.
    '--external',
    'mnt[]:ms',
    ...flags.flatMap(([asked, option]) => (asked ? [option, ...(option === '--empty-ns' ? ['net'] : [])] : [])),
  ];
}

const FIRST_VERSION = 4;

/** The path of criu. @throws TareError `not-found` with what to install, `unsupported` for an old one */
export function findCriu(program = 'criu'): string {
  const places = program.includes('/') ? [resolve(program)] : (process.env.PATH ?? '').split(delimiter);
  const path = places.map((place) => (program.includes('/') ? place : join(place, program))).find(isExecutable);
  if (path === undefined) {
    const advice = `checkpoint and restore need CRIU ${FIRST_VERSION} (Debian 13: apt-get install criu; else https://criu.org/Installation)`;
    throw new TareError('not-found', `${program} is not here: ${advice}`);
  }
  const version = /^Version: (\d+)/m.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))?.[1];
  if (Number(version ?? 0) >= FIRST_VERSION) return path;
  throw new TareError('unsupported', `${path} is CRIU ${version ?? '(unknown)'}: it must be ${FIRST_VERSION} or later`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The error of a criu that ended so, with what its log says. */
export function criuFailure(what: string, how: string, log: string): TareError {
  let lines: string[] = [];
  try {
    lines = readFileSync(log, 'utf8').split('\n');
  } catch {
    // It failed before it had a log; how it ended is all there is to say.
  }
  const errors = lines.filter((line) => /Error \(/.test(line) && !/RLIMIT_NOFILE/.test(line));
  const why = errors.slice(-3).map((line) => line.replace(/^\([\d.]+\)\s*/, '').replace(/Error \(\S+\): /, ''));
  const text = `criu failed: ${what}: ${how}${why.length > 0 ? `: ${why.join('; ')}` : ''} (log: ${log})`;
  return new TareError('system-call', text, { path: log });
}

/** How a hierarchy is named in the images, whatever path the cgroup has there. */
export function cgroupKey({ version, controllers }: Pick<CgroupPlace, 'version' | 'controllers'>): string {
  return version === 2 ? 'cgroup2' : `cgroup-${controllers.join('-').replace(/[^\w-]/g, '-')}`;
}

/** The network namespace that the container has joined. */
export const NETWORK_KEY = 'network-namespace';

export function joinedNetwork({ linux }: Config): string | undefined {
  return linux?.namespaces?.find(({ type }) => type === 'network')?.path || undefined;
}
