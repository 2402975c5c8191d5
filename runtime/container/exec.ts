/**
 * A further process in a container: the plan is compiled from what is known of the container, by its state directory and its first
 * process, and run until the program runs. What it starts is in the container's cgroup and pid namespace, so it goes with the container.
 */
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { closeAll, OwnedFd } from '../kernel/fd.js';
import { type Features, probeFeatures } from '../kernel/features.js';
import { openProcess } from '../kernel/process-identity.js';
import { Promised } from '../kernel/promised.js';
import { SIGKILL } from '../kernel/signals.js';
import { type Config, NAMESPACE_TYPES, OCI_VERSION, type Process } from '../oci/index.js';
import {
  type Caller,
  compileExec,
  EXEC,
  type Lane,
  type Plan,
  type PlanRun,
  preservedFds,
  type RunOptions,
  runPlan,
} from '../plan/index.js';
import { thisCaller } from './caller.js';
import {
  differingNamespaces,
  entranceInto,
  maySetGroups,
  openPlaces,
  rootOf,
  stopped,
  withItsUsers,
} from './exec-place.js';
import { completedProcess } from './exec-process.js';
import { type ExitStatus, exitStatus } from './exit-status.js';
import { compileFilter } from './filter.js';
import { environmentOf, homeOf } from './home.js';
import { sendListener } from './notify.js';
import type { StateDirectory } from './state-directory.js';
import type { StoredState } from './stored-state.js';

/** For `Container.exec`: the program, and how it is watched. */
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
  readonly onProcess?: (lane: Lane, pid: number) => void;
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
  using prepared = prepareExec(directory, options);
  return await startExec(prepared, options);
}

/** A plan, and what it is given. Whoever has it disposes of it. */
export interface PreparedExec extends Disposable {
  readonly plan: Plan;
  readonly given: Readonly<Record<string, number>>;
  readonly supervised: boolean;
  readonly stored: StoredState;
  readonly config: Config;
}

/** Compiles the plan; nothing has been done yet. */
export function prepareExec(directory: StateDirectory, options: ExecOptions): PreparedExec {
  const stored = directory.read();
  const config = directory.readConfig();
  const supervised = options.supervisor !== 'caller';
  const { init } = stored;
  const container = init && openProcess(init);
  if (!container) throw stopped();
  try {
    const namespaces = differingNamespaces(init);
    const { plan, warnings } = compileExec({
      bundle: { path: stored.bundle, config: withItsUsers(config, namespaces, init.pid), rootfs: stored.rootfs ?? '/' },
      id: stored.id,
      features: options.features ?? probeFeatures(),
      filter: compileFilter(config.linux?.seccomp),
      caller: options.caller ?? thisCaller(),
      noNewKeyring: stored.noNewKeyring,
      keyring: stored.keyring,
      preserveFds: options.preserveFds,
      joined: {
        own: new Set(NAMESPACE_TYPES.filter((type) => !namespaces.includes(type))),
        ofJoinedUser: new Set(),
        setgroups: maySetGroups(init.pid),
      },
      process: withHome(completedProcess(options.process, config), stored),
      namespaces,
      entrance: entranceInto(stored, init, options.cgroup),
      supervised,
    });
    for (const warning of warnings) options.onWarning?.(warning);
    const places = openPlaces(plan.given, init);
    return {
      plan,
      given: { [EXEC.container]: container.fd, ...places, ...preservedFds(plan.given) },
      supervised,
      stored,
      config,
      [Symbol.dispose]: () => {
        container.close();
        closeAll(Object.values(places));
      },
    };
  } catch (error) {
    container.close();
    throw error;
  }
}

/** Runs it until the program runs. */
export async function startExec(prepared: PreparedExec, options: Omit<ExecOptions, 'process'>): Promise<Exec> {
  const { plan, given, supervised } = prepared;
  const born = new Promised<number>();
  let pidfd: OwnedFd | undefined;
  options.onPlan?.(plan);
  const run = runPlan(plan, {
    ...options.driver,
    stdio: options.stdio,
    given,
    onCloned: (child) => {
      options.onProcess?.(child.lane, child.pid);
      if (child.lane !== 'inside') return native.close(child.pidfd);
      pidfd = new OwnedFd(child.pidfd);
      born.resolve(child.pid);
    },
    onCall: async (name, fd) => {
      // Its lane may be heard before the one that cloned it.
      if (name === EXEC.seccompListener && fd !== undefined) return passListener(prepared, await born.promise, fd);
      if (fd !== undefined) native.close(fd);
      throw new TareError('plan', `nothing answers calls of "${name}" here`, { cause: { code: 'ENOSYS' } });
    },
  });
  options.onProcess?.('outside', run.pid);
  try {
    // A program may have ended before we hear that it started.
    await (supervised ? Promise.race([run.started, run.exited]) : run.exited);
  } catch (error) {
    await run.ended;
    if (pidfd) await killed(pidfd.fd);
    throw toldClearly(error, run.pid);
  } finally {
    pidfd?.close();
  }
  return new Exec(run, await born.promise);
}

/** What could not become the program is on its way out; who hears of the failure finds nothing of it. */
async function killed(pidfd: number): Promise<void> {
  try {
    native.pidfdSendSignal(pidfd, SIGKILL);
  } catch (error) {
    if (!(error instanceof TareError && error.syscall?.errno === 'ESRCH')) throw error;
  }
  await new Promise<void>((resolve) => {
    const watcher = native.watch(pidfd, 1, () => {
      watcher.close();
      resolve();
    });
  });
}

/**
 * The words are runc's. The container may have ended while it was being joined; and a cgroup of version 2 that has enabled controllers
 * for those below it takes no process itself.
 */
function toldClearly(error: unknown, pid: number): unknown {
  if (!(error instanceof TareError)) return error;
  if (error.syscall?.name === 'setns' && error.syscall.errno === 'ESRCH') return stopped();
  if (error.syscall?.errno !== 'EBUSY') return error;
  const text = `error adding pid ${pid} to cgroups: device or resource busy: ${error.message}`;
  return new TareError(error.code, text, { cause: error, syscall: error.syscall, path: error.path });
}

/** HOME as the container's /etc/passwd has it, as it sees that file now. */
function withHome(process: Process, stored: StoredState): Process {
  return { ...process, env: environmentOf(process.env, () => homeOf(rootOf(stored), process.user.uid)) };
}

function passListener({ stored, config }: PreparedExec, pid: number, fd: number): undefined {
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
