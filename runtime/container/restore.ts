/**
 * A restore: a checkpoint becomes a container again, of the same bundle or a copy of it, under a new id. The plan makes its cgroup and
 * starts criu in it; what criu makes is no child of ours, so it is left to the caller's subreaper. criu(8); runc-restore(8).
 */
import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { type Features, probeFeatures } from '../kernel/features.js';
import { identityOf } from '../kernel/process-identity.js';
import { type Bundle, refuseUnsupported } from '../oci/index.js';
import { type Caller, compileRestore, RESTORE_FDS, restoredStream, runPlan } from '../plan/index.js';
import { thisCaller } from './caller.js';
import { cgroupOf } from './cgroup.js';
import { EXTERNALS, type Externals } from './checkpoint.js';
import {
  type CriuOptions,
  cgroupKey,
  commonOptions,
  criuFailure,
  findCriu,
  joinedNetwork,
  NETWORK_KEY,
} from './criu.js';
import { exitStatus } from './exit-status.js';
import { journal, journalCgroups } from './journal.js';
import type { Prepared } from './prepare.js';
import type { StateDirectory } from './state-directory.js';
import type { StoredState } from './stored-state.js';

/** For `Container.restore`: runc's options of the same names, and those of `CreateOptions`. runc-restore(8) */
export interface RestoreOptions extends CriuOptions {
  readonly id: string;
  readonly bundle: Bundle;
  readonly stateRoot?: string;
  readonly stdio?: readonly [number, number, number];
  /** `TYPE:NAME`, of AppArmor or SELinux, instead of the one in the images. */
  readonly lsmProfile?: string;
  readonly lsmMountContext?: string;
  readonly features?: Features;
  readonly caller?: Caller;
  readonly onWarning?: (sentence: string) => void;
}

const LOG = 'restore.log';

/** @throws TareError for everything that can be known before anything is made */
export function prepareRestore(id: string, stateFolder: string, options: RestoreOptions): Prepared {
  const { bundle } = options;
  refuseUnsupported(bundle.config);
  const criu = findCriu(options.criu);
  const externals = readExternals(options.images);
  const features = options.features ?? probeFeatures();
  const caller = options.caller ?? thisCaller();
  const warnings: string[] = [];
  const cgroup = cgroupOf(bundle, id, features, caller, warnings);
  warnings.push(...hooksNotRun(bundle));
  const network = externals.network ? joinedNetwork(bundle.config) : undefined;
  if (externals.network && network === undefined) {
    const path = 'linux.namespaces';
    throw new TareError(
      'config',
      `config.json: ${path}: the images are of a container with a network namespace by path`,
      {
        path,
      },
    );
  }
  const argv = [
    'criu',
    'restore',
    ...commonOptions(options, LOG),
    '--root',
    bundle.rootfs,
    '--restore-detached',
    '--pidfile',
    pidFile(stateFolder),
    ...(cgroup?.places ?? []).flatMap((place) => ['--external', `mnt[${cgroupKey(place)}]:${place.directory}`]),
    ...bindMounts(bundle).flatMap(([key, source]) => ['--external', `mnt[${key}]:${source}`]),
    ...streams(externals),
    ...(network ? ['--inherit-fd', `fd[${RESTORE_FDS.network}]:${NETWORK_KEY}`] : []),
    ...(options.lsmProfile ? ['--lsm-profile', options.lsmProfile] : []),
    ...(options.lsmMountContext ? ['--lsm-mount-context', options.lsmMountContext] : []),
  ];
  const env = [`PATH=${process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin'}`];
  const compiled = compileRestore({ bundle, id, features, cgroup, caller, criu, argv, env, network });
  return { bundle, cgroup, plan: compiled.plan, warnings: [...warnings, ...compiled.warnings] };
}

/** Criu makes the namespaces and the processes in one go; only those after that have their time. */
function hooksNotRun({ config }: Bundle): string[] {
  return (['prestart', 'createRuntime', 'createContainer', 'startContainer'] as const).flatMap((name) =>
    config.hooks?.[name]?.length ? [`hooks.${name} are not run by a restore`] : [],
  );
}

function pidFile(stateFolder: string): string {
  return join(stateFolder, 'criu.pid');
}

/** Each file once, with the descriptor of the first stream that is it. */
function streams({ stdio }: Externals): string[] {
  return stdio.flatMap((key, i) =>
    key === null || stdio.indexOf(key) !== i ? [] : ['--inherit-fd', `fd[${RESTORE_FDS.stdio[i]}]:${key}`],
  );
}

function bindMounts({ config, path }: Bundle): [string, string][] {
  return (config.mounts ?? []).flatMap(({ destination, source, options = [] }): [string, string][] =>
    source && (options.includes('bind') || options.includes('rbind'))
      ? [[resolve(destination), resolve(path, source)]]
      : [],
  );
}

/** Who wrote the images is as good as root; a broken file is told by name all the same. */
function readExternals(images: string): Externals {
  const path = join(images, EXTERNALS);
  try {
    const { formatVersion, stdio, network } = JSON.parse(readFileSync(path, 'utf8')) as Externals;
    const isStream = (key: unknown) => key === null || (typeof key === 'string' && /^(file|pipe)[:\w[\]]+$/.test(key));
    if (formatVersion === 1 && stdio.length === 3 && stdio.every(isStream)) return { formatVersion, stdio, network };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && statSync(images, { throwIfNoEntry: false }))
      throw new TareError('not-found', `${path} does not exist: the folder has no checkpoint of Tare`, { cause, path });
    throw new TareError('not-found', `${path} cannot be read: ${(cause as Error).message}`, { cause, path });
  }
  throw new TareError('protocol', `${path} is damaged, or of another version of Tare`, { path });
}

/** Runs the plan; the container runs afterwards. The caller holds its lock, and undoes the journal when this throws. */
export async function restore(
  directory: StateDirectory,
  state: Omit<StoredState, 'formatVersion'>,
  { plan, cgroup, bundle }: Prepared,
  options: RestoreOptions,
): Promise<void> {
  directory.writeConfig(bundle.config);
  if (cgroup) await journalCgroups(directory, cgroup.places);
  const { images, work = images } = options;
  mkdirSync(work, { recursive: true, mode: 0o700 });
  const stdio = options.stdio ?? [0, 1, 2];
  const given = Object.fromEntries(stdio.map((fd, i) => [restoredStream(i), fd]));
  const quiet = native.open('/dev/null', 2);
  let how: number;
  try {
    const run = runPlan(plan, { given, stdio: [quiet, quiet, quiet] });
    how = await run.exited;
    await run.ended;
  } finally {
    native.close(quiet);
  }
  const { code } = exitStatus(how);
  if (code !== 0) throw criuFailure('type restore', `exit code ${code}`, resolve(work, LOG));
  const init = identityOf(Number(readFileSync(pidFile(directory.path), 'utf8')));
  rmSync(pidFile(directory.path));
  if (!init) throw new TareError('state', 'the restored process has ended already');
  journal(directory, { undo: 'process', process: init });
  directory.write({ ...state, status: 'running', init });
}
