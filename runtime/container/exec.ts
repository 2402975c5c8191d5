/**
 * A further process in a container: what is to be known of the container is found out here, by its first process and its state
 * directory; the plan is compiled, and run until the program runs. What it starts is in the container's cgroup and pid namespace, so it
 * goes with the container.
 */
import { readlinkSync } from 'node:fs';
import { native } from '../kernel/addon.js';
import { cgroupsToJoin, entranceOf, subCgroup } from '../kernel/cgroup/index.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants/open.js';
import { TareError } from '../kernel/error.js';
import { closeAll, type OwnedFd } from '../kernel/fd.js';
import { type Features, probeFeatures } from '../kernel/features.js';
import { isAlive, openProcess, type ProcessIdentity } from '../kernel/process-identity.js';
import { type Config, NAMESPACE_TYPES, type NamespaceType, OCI_VERSION, type Process } from '../oci/index.js';
import {
  type Caller,
  compileExec,
  EXEC,
  execNamespace,
  type Plan,
  type PlanRun,
  preservedNumber,
  type RunOptions,
  runPlan,
} from '../plan/index.js';
import { Promised } from '../plan/promised.js';
import { thisCaller } from './caller.js';
import { completedProcess } from './exec-process.js';
import { type ExitStatus, exitStatus } from './exit-status.js';
import { compileFilter } from './filter.js';
import { homeOf } from './home.js';
import { sendListener } from './notify.js';
import type { StateDirectory, StoredState } from './state-directory.js';

export interface ExecOptions {
  /** The program, and who it is; what it does not say is as the container's own process has it. See `changedProcess`. */
  readonly process: Process;
  /** Who reaps it and learns its exit status: see `CreateOptions`. */
  readonly supervisor?: 'stage' | 'caller';
  /** Its standard streams; this process's own unless told. Not used with a terminal. */
  readonly stdio?: readonly [number, number, number];
  /** How many descriptors of this process, from 3 on, it gets as well. */
  readonly preserveFds?: number;
  /** Also in a paused container, where it begins when that is resumed. */
  readonly ignorePaused?: boolean;
  /** A cgroup below the container's: `[CONTROLLERS:]PATH`. */
  readonly cgroup?: string | readonly string[];
  readonly features?: Features;
  readonly caller?: Caller;
  readonly driver?: Pick<RunOptions, 'beforeStep' | 'afterStep' | 'trace'>;
  readonly onPlan?: (plan: Plan) => void;
  /** Called for each thing that is asked for and done in part. */
  readonly onWarning?: (sentence: string) => void;
}

/** A process that `exec` has started. */
export class Exec {
  readonly #run: PlanRun;
  /** In the pid namespace of this process. */
  readonly pid: number;
  /** Of the terminal, where it has one: the caller closes it. */
  readonly console: number | undefined;

  /** @internal */
  constructor(run: PlanRun, pid: number) {
    this.#run = run;
    this.pid = pid;
    this.console = run.take(EXEC.console);
  }

  /** Resolves when it has ended. Not for one that was left to the caller's subreaper. */
  async wait(): Promise<ExitStatus> {
    return exitStatus(await this.#run.exited);
  }

  /** @throws TareError `state` when it has ended */
  kill(signal: number): void {
    this.#run.signal(signal);
  }

  /** Leaves it to its supervisor: this process may end. */
  detach(): void {
    this.#run.detach();
  }
}

/**
 * Resolves when the program runs.
 * @throws TareError `command-not-found`, `command-not-executable`, `plan`; `state` when the container has ended; `usage` for the cgroup
 */
export async function execIn(directory: StateDirectory, options: ExecOptions): Promise<Exec> {
  const stored = directory.read();
  const config = directory.readConfig();
  const supervised = options.supervisor !== 'caller';
  using container = stored.init && openProcess(stored.init);
  if (!stored.init || !container) throw stopped();
  const namespaces = differingNamespaces(stored.init);
  const process = withHome(completedProcess(options.process, config), stored);
  const { plan, warnings } = compileExec({
    bundle: { path: stored.bundle, config, rootfs: stored.rootfs ?? '/' },
    id: stored.id,
    features: options.features ?? probeFeatures(),
    filter: compileFilter(config.linux?.seccomp),
    caller: options.caller ?? thisCaller(),
    noNewKeyring: stored.noNewKeyring,
    preserveFds: options.preserveFds,
    joined: { own: new Set(NAMESPACE_TYPES.filter((type) => !namespaces.includes(type))), ofJoinedUser: new Set() },
    process,
    namespaces,
    entrance: entranceInto(stored, stored.init, options),
    supervised,
  });
  for (const warning of warnings) options.onWarning?.(warning);
  options.onPlan?.(plan);
  return start(plan, supervised, givenOf(plan, container, stored.init), { stored, config }, options);
}

/** The words are runc's: engines look for them. */
function stopped(): TareError {
  return new TareError('state', 'cannot exec in a stopped container');
}

/** Where /proc has a namespace of a type. */
const LINKS: Readonly<Record<NamespaceType, string>> = {
  mount: 'mnt',
  pid: 'pid',
  network: 'net',
  ipc: 'ipc',
  uts: 'uts',
  user: 'user',
  cgroup: 'cgroup',
  time: 'time',
};

/** setns(2) refuses to enter the user namespace that one is in, and what is the same need not be entered. */
function differingNamespaces(init: ProcessIdentity): NamespaceType[] {
  const differing = NAMESPACE_TYPES.filter((type) => linkOf(init.pid, type) !== linkOf('self', type));
  // Its pid could have become another process's while we looked.
  if (!isAlive(init)) throw stopped();
  return differing;
}

function linkOf(pid: number | 'self', type: NamespaceType): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${LINKS[type]}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined; // this kernel has none of this type, or the process has ended
    const what =
      'the namespaces of the container cannot be looked at: it belongs to another user, or is not started yet';
    throw new TareError('permission', `${what} (${code})`, { cause: error });
  }
}

/** HOME as the container's /etc/passwd has it, as it sees that file now. */
function withHome(process: Process, stored: StoredState): Process {
  if (process.env?.some((entry) => entry.startsWith('HOME='))) return process;
  const home = homeOf(rootOf(stored), process.user.uid);
  return { ...process, env: [...(process.env ?? []), `HOME=${home}`] };
}

/** The container's root as this process can reach it: with its mounts, where it may look there. */
export function rootOf({ rootfs, init }: Pick<StoredState, 'rootfs' | 'init'>): string {
  try {
    if (!init || !isAlive(init)) return rootfs ?? '/nonexistent';
    readlinkSync(`/proc/${init.pid}/root`);
    return `/proc/${init.pid}/root`;
  } catch {
    // Who may not trace it gets what was below its mounts: that is enough to find a home.
    return rootfs ?? '/nonexistent';
  }
}

function entranceInto({ cgroup }: StoredState, init: ProcessIdentity, options: ExecOptions) {
  const { cgroup: named = [] } = options;
  const asked = typeof named === 'string' || named.length > 0;
  if (cgroup.length === 0) {
    if (!asked) return null;
    throw new TareError('unsupported', '--cgroup: the container has no cgroup');
  }
  return entranceOf(asked ? subCgroup(cgroup, named) : cgroupsToJoin(cgroup, init.pid));
}

interface Given {
  readonly fds: Readonly<Record<string, number>>;
  /** Ours to close. */
  readonly owned: readonly number[];
}

function givenOf(plan: Plan, container: OwnedFd, init: ProcessIdentity): Given {
  const fds: Record<string, number> = {};
  const owned: number[] = [];
  try {
    for (const name of plan.given) {
      const opened = openOf(name, init.pid);
      if (opened !== undefined) owned.push(opened);
      fds[name] = opened ?? (name === EXEC.container ? container.fd : (preservedNumber(name) as number));
    }
    if (!isAlive(init)) throw stopped();
    return { fds, owned };
  } catch (error) {
    closeAll(owned);
    throw error;
  }
}

/** What is reached by the first process's files in /proc. */
function openOf(name: string, pid: number): number | undefined {
  if (name === EXEC.root) return native.open(`/proc/${pid}/root`, O_PATH | O_DIRECTORY | O_CLOEXEC);
  const type = NAMESPACE_TYPES.find((one) => execNamespace(one) === name);
  return type && native.open(`/proc/${pid}/ns/${LINKS[type]}`, O_CLOEXEC);
}

interface Container {
  readonly stored: StoredState;
  readonly config: Config;
}

async function start(
  plan: Plan,
  supervised: boolean,
  { fds, owned }: Given,
  container: Container,
  options: ExecOptions,
): Promise<Exec> {
  const born = new Promised<number>();
  let run: PlanRun;
  try {
    run = runPlan(plan, {
      ...options.driver,
      stdio: options.stdio,
      given: fds,
      onCloned: (child) => {
        native.close(child.pidfd);
        if (child.lane === 'inside') born.resolve(child.pid);
      },
      onCall: async (name, fd) => {
        // Its lane may be heard before the one that cloned it.
        if (name === EXEC.seccompListener && fd !== undefined) return passListener(container, await born.promise, fd);
        if (fd !== undefined) native.close(fd);
        throw new TareError('plan', `nothing answers calls of "${name}" here`, { cause: { code: 'ENOSYS' } });
      },
    });
  } finally {
    closeAll(owned);
  }
  try {
    if (supervised) await Promise.race([run.started, run.exited]);
    else await run.exited;
  } catch (error) {
    await run.ended;
    throw error;
  }
  // What it said is heard before its end is.
  return new Exec(run, await born.promise);
}

function passListener({ stored, config }: Container, pid: number, fd: number): undefined {
  try {
    const { id, bundle, annotations, init } = stored;
    const state = {
      ociVersion: OCI_VERSION,
      id,
      status: 'running' as const,
      ...(init && { pid: init.pid }),
      bundle,
      ...(annotations && { annotations }),
    };
    sendListener({ state, pid, seccomp: config.linux?.seccomp ?? {} }, fd);
  } finally {
    native.close(fd);
  }
}
