/**
 * The life of a container: created, running, stopped, gone. Creating compiles the bundle and runs its plan up to the start
 * gate; stage supervises from then on, so a container outlives the process that made it. What happens is written into the
 * state directory first, so that another process, or the next one after a crash, can go on from there.
 * runtime-spec, runtime.md, "Lifecycle".
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../kernel/addon.js';
import {
  type CgroupPlace,
  type CgroupStats,
  cgroupStats,
  freezeCgroup,
  isFrozen,
  oomEvents,
  oomKills,
  processesOf,
  signalCgroup,
  startThaw,
  thawCgroup,
} from '../kernel/cgroup/index.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants/open.js';
import { type ErrorCode, TareError } from '../kernel/error.js';
import { OwnedFd } from '../kernel/fd.js';
import { stateRoot } from '../kernel/places.js';
import {
  bootId,
  isAlive,
  killProcess,
  openProcess,
  type ProcessIdentity,
  pidNamespace,
} from '../kernel/process-identity.js';
import { SIGKILL } from '../kernel/signals.js';
import {
  type Config,
  type ContainerId,
  containerId,
  OCI_VERSION,
  type OciState,
  type Resources,
  type Status,
} from '../oci/index.js';
import { openGate, type PlanRun } from '../plan/index.js';
import { answerCall } from './calls.js';
import { type CheckpointOptions, checkpoint } from './checkpoint.js';
import { destroy } from './destroy.js';
import { type Exec, type ExecOptions, execIn } from './exec.js';
import { rootOf } from './exec-place.js';
import { type ExitStatus, exitStatus } from './exit-status.js';
import { runLateHooks } from './hooks.js';
import { journaledProcesses } from './journal.js';
import { type CreateOptions, firstState, type Launched, launch } from './launch.js';
import { type PrepareOptions, prepare } from './prepare.js';
import { prepareRestore, type RestoreOptions, restore } from './restore.js';
import { GATE_SOCKET, StateDirectory, type StoredState } from './state-directory.js';
import { type RdtChange, updateLimits } from './update.js';
import { parseUserIn } from './users.js';

export class Container {
  readonly id: ContainerId;
  readonly #directory: StateDirectory;
  readonly #owned: Launched | undefined;
  readonly #onWarning: CreateOptions['onWarning'];

  private constructor(directory: StateDirectory, onWarning?: CreateOptions['onWarning'], owned?: Launched) {
    this.id = directory.id;
    this.#directory = directory;
    this.#onWarning = onWarning;
    this.#owned = owned;
  }

  /**
   * Creates a container and leaves it before its program starts. A create that fails leaves nothing behind.
   * @throws TareError `usage` for the id, `exists`, whatever `prepare` throws, `plan` when a step fails
   */
  static async create(options: CreateOptions): Promise<Container> {
    return Container.#make(options, options.supervisor === 'caller' ? 'socket' : 'call');
  }

  /** Creates and starts it in one go, without waiting in between: cheaper. @throws as `create` and `start` do; then nothing is left */
  static async run(options: CreateOptions): Promise<Container> {
    return Container.#make({ ...options, supervisor: 'stage' }, undefined);
  }

  static async #make(options: CreateOptions, gate: PrepareOptions['gate']): Promise<Container> {
    const id = containerId(options.id);
    const root = options.stateRoot ?? stateRoot();
    // First, since what else of that name is there is the other container's too: its cgroup.
    StateDirectory.checkFree(root, id);
    const prepared = prepare({ ...options, id, gate });
    for (const warning of prepared.warnings) options.onWarning?.(warning);
    const state = firstState(id, prepared, options);
    const { directory, lock } = await StateDirectory.create(root, state);
    let container: Container;
    {
      using _lock = lock;
      container = await Container.#launch(directory, state, prepared, options, gate);
    }
    if (gate === undefined) await container.#runPoststart();
    return container;
  }

  /**
   * Makes a container of a checkpoint. It runs, and is left to the caller's subreaper. A restore that fails leaves nothing behind.
   * @throws TareError `not-found` without criu or images, `system-call` when criu fails, and as `create`
   */
  static async restore(options: RestoreOptions): Promise<Container> {
    const id = containerId(options.id);
    const root = options.stateRoot ?? stateRoot();
    StateDirectory.checkFree(root, id);
    const prepared = prepareRestore(id, join(root, id), options);
    for (const warning of prepared.warnings) options.onWarning?.(warning);
    const state = firstState(id, prepared, { id, bundle: options.bundle, supervisor: 'caller' });
    const { directory, lock } = await StateDirectory.create(root, state);
    const container = new Container(directory, options.onWarning);
    {
      using _lock = lock;
      try {
        await restore(directory, state, prepared, options);
      } catch (error) {
        await destroy(directory, options.onWarning);
        throw error;
      }
    }
    await container.#runPoststart();
    return container;
  }

  static async #launch(...parameters: Parameters<typeof launch>): Promise<Container> {
    const [directory, , , { onWarning }] = parameters;
    try {
      return new Container(directory, onWarning, await launch(...parameters));
    } catch (error) {
      await destroy(directory, onWarning);
      throw error;
    }
  }

  /**
   * A container that exists.
   * @param onWarning called for each hook that fails without failing the container
   * @throws TareError `not-found`
   */
  static open(id: string, root: string = stateRoot(), onWarning?: CreateOptions['onWarning']): Container {
    return new Container(StateDirectory.open(root, containerId(id)), onWarning);
  }

  /** All containers of a state root, also those whose state is damaged. */
  static list(root: string = stateRoot()): Container[] {
    return StateDirectory.list(root).map((directory) => new Container(directory));
  }

  /**
   * The states of all containers of a state root, and when they were created (ISO 8601).
   * @param onFailure called for each whose state is damaged, or of another version of Tare
   */
  static states(root: string, onFailure: (error: TareError) => void): { state: OciState; created: string }[] {
    return Container.list(root).flatMap((container) => {
      try {
        return [{ state: container.state(), created: container.created }];
      } catch (error) {
        if (!(error instanceof TareError)) throw error;
        // Removed while we were looking.
        if (error.code !== 'not-found') onFailure(error);
        return [];
      }
    });
  }

  /** The run of the plan, in the process that created the container. */
  get run(): PlanRun | undefined {
    return this.#owned?.run;
  }

  /** The state, as the specification has it. */
  state(): OciState {
    const stored = this.#directory.read();
    const status = this.#status(stored);
    return {
      ociVersion: OCI_VERSION,
      id: this.id,
      ...(status !== 'creating' && status !== 'stopped' && stored.init && { pid: stored.init.pid }),
      status,
      bundle: stored.bundle,
      ...(stored.rootfs && { rootfs: stored.rootfs }),
      created: stored.created,
      ...(stored.annotations && { annotations: stored.annotations }),
    };
  }

  /** When it was created, ISO 8601. */
  get created(): string {
    return this.#directory.read().created;
  }

  /**
   * Lets the program start, and resolves when it has taken the place of stage.
   * @throws TareError `command-not-found`, `command-not-executable`, `plan`; `state` when it is not `created`; `config` without a process
   */
  async start(): Promise<void> {
    const { status } = this.state();
    if (status !== 'created')
      throw new TareError('state', `the container ${this.id} is ${status}: only a created one can be started`);
    if (this.config.process === undefined)
      throw new TareError('config', 'config.json: process is missing: there is nothing to start', { path: 'process' });
    if (this.#owned?.openGate) await this.#startOwned(this.#owned);
    else await this.#startBySocket(this.#directory.read());
    await this.#runPoststart();
  }

  async #startBySocket(stored: StoredState): Promise<void> {
    if (stored.supervised !== false)
      throw new TareError('state', `the container ${this.id} waits for the process that created it to start it`);
    using _lock = await this.#directory.lock();
    using folder = new OwnedFd(native.open(this.#directory.path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    const context = { directory: this.#directory, state: stored, config: this.#directory.readConfig() };
    try {
      await openGate(folder.fd, GATE_SOCKET, {
        steps: this.#directory.readGateSteps(),
        onCall: (name, fd) => answerCall(context, name, fd),
      });
    } catch (error) {
      // A step of it has failed, so it ends. Who hears of the failure finds it stopped.
      if (stored.init && error instanceof TareError && ENDS.has(error.code)) await processEnd(stored.init);
      throw error;
    }
    this.#directory.write({ ...this.#directory.read(), status: 'running' });
  }

  async #startOwned({ run, openGate }: Launched): Promise<void> {
    using _lock = await this.#directory.lock();
    openGate?.();
    await run.started;
    this.#directory.write({ ...this.#directory.read(), status: 'running' });
  }

  /** Without the lock: a hook may call the runtime. */
  async #runPoststart(): Promise<void> {
    const config = this.#directory.readConfig();
    if (config.hooks?.poststart === undefined) return;
    await runLateHooks('poststart', { state: this.#directory.read(), config }, this.#onWarning);
  }

  /** Resolves when its first process has ended, whoever learns how. */
  async ended(): Promise<void> {
    const { init } = this.#directory.read();
    if (init) await processEnd(init);
  }

  /** Resolves when it has ended. @throws TareError when its plan failed before the program ran */
  async wait(): Promise<ExitStatus> {
    if (this.#owned && !this.#owned.left) return exitStatus(await this.#owned.run.exited);
    const stored = this.#directory.read();
    if (stored.init) await processEnd(stored.init);
    // Stage writes it down right after it has reaped the process; if stage was killed, nobody does.
    for (let tries = 0; tries < 50 && isAlive(stored.stage); tries++) {
      if (this.#directory.readExit()) break;
      await sleep(10);
    }
    const exit = this.#directory.readExit();
    if (!exit)
      throw new TareError('state', `how ${this.id} ended is not known: its supervisor was killed, or it never ran`);
    return exitStatus(exit.status);
  }

  /**
   * Sends a signal to its first process. SIGKILL reaches it also while it is paused.
   * @throws TareError `state` when it has ended
   */
  kill(signal: number): void {
    const { init, cgroup } = this.#directory.read();
    using pidfd = init && openProcess(init);
    if (!pidfd) throw notRunning(this.id);
    native.pidfdSendSignal(pidfd.fd, signal);
    // A frozen process of version 1 dies only when it is thawed.
    if (signal === SIGKILL) startThaw(cgroup);
  }

  /** Sends a signal to every process of it, also when its first one has ended; nothing when none is left. */
  async killAll(signal: number): Promise<void> {
    const { cgroup, init } = this.#directory.read();
    if ((await signalCgroup(cgroup, signal)) === 0 && isAlive(init)) this.kill(signal);
  }

  /** Whether its processes end with its first one, because they have a pid namespace that is its own. */
  get endsWithItsFirst(): boolean {
    return this.config.linux?.namespaces?.some(({ type, path }) => type === 'pid' && !path) ?? false;
  }

  /** Its configuration, as it was carried out. */
  get config(): Config {
    return this.#directory.readConfig();
  }

  /** A user as the container knows it: see `parseUserIn`. */
  parseUser(text: string): ReturnType<typeof parseUserIn> {
    const stored = this.#directory.read();
    return parseUserIn(rootOf(stored), text);
  }

  /**
   * Starts another process in it, and resolves when its program runs. It ends with the container.
   * @throws TareError `state` when it has ended, or is paused; `command-not-found`, `command-not-executable`, `plan`
   */
  async exec(options: ExecOptions): Promise<Exec> {
    const status = this.#status(this.#directory.read());
    if (status === 'stopped' || status === 'creating')
      throw new TareError('state', `cannot exec in a ${status} container`);
    if (status === 'paused' && !options.ignorePaused)
      throw new TareError(
        'state',
        'cannot exec in a paused container: resume it first, or ignore that (--ignore-paused)',
      );
    return execIn(this.#directory, options);
  }

  /** Stops all its processes where they are. @throws TareError `state` unless it is running, or created */
  async pause(): Promise<void> {
    using _lock = await this.#directory.lock();
    const status = this.#status(this.#directory.read());
    if (status !== 'running' && status !== 'created')
      throw new TareError('state', `the container ${this.id} is ${status}: only one that runs can be paused`);
    await freezeCgroup(this.#cgroup('paused'));
  }

  /** Lets them go on. @throws TareError `state` unless it is paused */
  async resume(): Promise<void> {
    using _lock = await this.#directory.lock();
    const status = this.#status(this.#directory.read());
    if (status !== 'paused')
      throw new TareError('state', `the container ${this.id} is ${status}: only a paused one can be resumed`);
    await thawCgroup(this.#cgroup('resumed'));
  }

  /** The pids of all its processes, in the pid namespace of this process. */
  processes(): number[] {
    return processesOf(this.#cgroup('counted'));
  }

  /** What it has used until now, in the shape that `runc events` prints. */
  stats(): CgroupStats {
    return cgroupStats(this.#cgroup('counted'));
  }

  /** One item each time that processes of it were killed for want of memory, until it ends: see `oomEvents`. */
  oomEvents(stop?: AbortSignal): AsyncGenerator<void, void, void> {
    return oomEvents(this.#cgroup('watched'), stop);
  }

  /** Changes its limits; what is not named stays. @throws TareError `state` when it has ended, and as `updateLimits` */
  async update(change: Resources, rdt?: RdtChange): Promise<void> {
    using _lock = await this.#directory.lock();
    const status = this.#status(this.#directory.read());
    if (status === 'stopped' || status === 'creating')
      throw new TareError('state', `container not running: ${this.id} is ${status}`);
    await updateLimits(this.#directory, this.#cgroup('limited'), change, rdt);
  }

  /** How many of its processes the kernel has killed because its memory limit was reached. */
  oomKills(): number {
    return oomKills(this.#directory.read().cgroup);
  }

  /**
   * Writes its processes to files, by CRIU. Afterwards it has ended, unless it was to go on.
   * @throws TareError `state` unless it runs, or is paused; and as `checkpoint` of checkpoint.ts
   */
  async checkpoint(options: CheckpointOptions): Promise<void> {
    using _lock = await this.#directory.lock();
    const stored = this.#directory.read();
    const status = this.#status(stored);
    if (status !== 'running' && status !== 'paused')
      throw new TareError('state', `Container cannot be checkpointed in ${status} state`);
    await checkpoint(stored, this.config, options);
  }

  /** Where its cgroups are. @throws TareError `unsupported` when it has none: a user without a delegated cgroup */
  #cgroup(whatFor: string): readonly CgroupPlace[] {
    const { cgroup } = this.#directory.read();
    if (cgroup.length > 0) return cgroup;
    throw new TareError('unsupported', `the container ${this.id} has no cgroup, so its processes cannot be ${whatFor}`);
  }

  /**
   * Removes what is left of it. Calling it again after success throws `not-found`.
   * @throws TareError `state` when it runs, unless `force` kills it first
   */
  async delete({ force = false } = {}): Promise<void> {
    using _lock = await this.#directory.lock();
    const stored = force ? this.#directory.readIfWhole() : this.#directory.read();
    if (!stored) {
      await this.#killAndWait(journaledProcesses(this.#directory));
      return destroy(this.#directory, this.#onWarning);
    }
    const status = this.#status(stored);
    if ((status === 'running' || status === 'paused') && !force) {
      throw new TareError('state', `the container ${this.id} is ${status}: stop it first, or delete it with --force`);
    }
    if (status === 'created' && !force && !this.#owned) {
      throw new TareError('state', `the container ${this.id} is created and not stopped: delete it with --force`);
    }
    if (this.#owned?.openGate && status === 'created') this.#owned.run.abort();
    else if (status !== 'stopped') await this.#killAndWait(stored);
    await destroy(this.#directory, this.#onWarning);
    await this.#owned?.run.ended;
  }

  /** Kills it, and gives its supervisor the time to see that and to write it down. */
  async #killAndWait({
    init,
    stage,
    cgroup = [],
  }: Partial<Pick<StoredState, 'init' | 'stage' | 'cgroup'>>): Promise<void> {
    if (init) killProcess(init);
    startThaw(cgroup);
    for (let tries = 0; tries < 200 && isAlive(stage); tries++) await sleep(10);
  }

  /** Leaves it to its supervisor: this process may end. @throws TareError `state` before it runs */
  detach(): void {
    this.#owned?.run.detach();
  }

  #status(stored: StoredState): Status {
    if (stored.status === 'creating') return 'creating';
    if (stored.bootId !== bootId() || !isThere(stored) || this.#directory.readExit()) return 'stopped';
    return isFrozen(stored.cgroup) ? 'paused' : stored.status;
  }
}

/** Of a container of another pid namespace only the cgroup tells: its pids are other processes here, or nobody. */
function isThere({ init, cgroup, pidNamespace: namespace }: StoredState): boolean {
  if (namespace === undefined || namespace === pidNamespace()) return isAlive(init);
  return processesOf(cgroup).length > 0;
}

/** What a process that waits for its start has come to nothing with. */
const ENDS: ReadonlySet<string> = new Set<ErrorCode>(['plan', 'command-not-found', 'command-not-executable']);

/** The words are runc's: containerd takes them for "it is gone". */
function notRunning(id: ContainerId): TareError {
  return new TareError('state', `container not running: ${id} has ended, there is nothing to signal`);
}

/** Resolves when a process that is not our child has ended. */
async function processEnd(identity: ProcessIdentity): Promise<void> {
  using pidfd = openProcess(identity);
  if (!pidfd) return;
  await new Promise<void>((resolve) => {
    const watcher = native.watch(pidfd.fd, 1, () => {
      watcher.close();
      resolve();
    });
  });
}
