/**
 * The life of a container: created, running, stopped, gone. Creating compiles the bundle and runs its plan up to the start
 * gate; stage supervises from then on, so a container outlives the process that made it. What happens is written into the
 * state directory first, so that another process, or the next one after a crash, can go on from there.
 * runtime-spec, runtime.md, "Lifecycle".
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { native } from '../kernel/addon.js';
import { thawKilled } from '../kernel/cgroup/index.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants/open.js';
import { type ErrorCode, TareError } from '../kernel/error.js';
import { OwnedFd } from '../kernel/fd.js';
import { stateRoot } from '../kernel/places.js';
import { isAlive, killProcess, processEnd } from '../kernel/process-identity.js';
import { containerId, type OciState } from '../oci/index.js';
import { openGate, type PlanRun } from '../plan/index.js';
import { answerCall } from './calls.js';
import { destroy } from './destroy.js';
import { type ExitStatus, exitStatus } from './exit-status.js';
import { FoundContainer } from './found-container.js';
import { runLateHooks } from './hooks.js';
import { journaledProcesses } from './journal.js';
import { type CreateOptions, firstState, keyringName, type Launched, launch } from './launch.js';
import { type PrepareOptions, prepare } from './prepare.js';
import { prepareRestore, type RestoreOptions, restore } from './restore.js';
import { GATE_SOCKET, StateDirectory } from './state-directory.js';
import type { StoredState } from './stored-state.js';

/**
 * A container: made by `create`, `run` or `restore`, or found again by `open`. Its state lies in a folder, so any process may go on with it;
 * who has made one with `supervisor: 'stage'` learns its exit status by `wait`.
 */
export class Container extends FoundContainer {
  readonly #owned: Launched | undefined;
  readonly #onWarning: CreateOptions['onWarning'];

  private constructor(directory: StateDirectory, onWarning?: CreateOptions['onWarning'], owned?: Launched) {
    super(directory);
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
    const keyring = keyringName(id);
    const prepared = prepare({ ...options, id, gate, keyring });
    for (const warning of prepared.warnings) options.onWarning?.(warning);
    const state = firstState(id, prepared, { ...options, keyring });
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
    else await this.#startBySocket(this.directory.read());
    await this.#runPoststart();
  }

  async #startBySocket(stored: StoredState): Promise<void> {
    if (stored.supervised !== false)
      throw new TareError('state', `the container ${this.id} waits for the process that created it to start it`);
    using _lock = await this.directory.lock();
    using folder = new OwnedFd(native.open(this.directory.path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    const context = { directory: this.directory, state: stored, config: this.directory.readConfig() };
    try {
      await openGate(folder.fd, GATE_SOCKET, {
        steps: this.directory.readGateSteps(),
        onCall: (name, fd) => answerCall(context, name, fd),
      });
    } catch (error) {
      // A step of it has failed, so it ends. Who hears of the failure finds it stopped.
      if (stored.init && error instanceof TareError && ENDS.has(error.code)) await processEnd(stored.init);
      throw error;
    }
    this.directory.write({ ...this.directory.read(), status: 'running' });
  }

  async #startOwned({ run, openGate }: Launched): Promise<void> {
    using _lock = await this.directory.lock();
    openGate?.();
    await run.started;
    this.directory.write({ ...this.directory.read(), status: 'running' });
  }

  /** Without the lock: a hook may call the runtime. */
  async #runPoststart(): Promise<void> {
    const config = this.directory.readConfig();
    if (config.hooks?.poststart === undefined) return;
    await runLateHooks('poststart', { state: this.directory.read(), config }, this.#onWarning);
  }

  /** Resolves when it has ended. @throws TareError when its plan failed before the program ran */
  async wait(): Promise<ExitStatus> {
    if (this.#owned && !this.#owned.left) return exitStatus(await this.#owned.run.exited);
    const stored = this.directory.read();
    if (stored.init) await processEnd(stored.init);
    // Stage writes it down right after it has reaped the process; if stage was killed, nobody does.
    for (let tries = 0; tries < 50 && isAlive(stored.stage); tries++) {
      if (this.directory.readExit()) break;
      await sleep(10);
    }
    const exit = this.directory.readExit();
    if (!exit)
      throw new TareError('state', `how ${this.id} ended is not known: its supervisor was killed, or it never ran`);
    return exitStatus(exit.status);
  }

  /**
   * Removes what is left of it. Calling it again after success throws `not-found`.
   * @throws TareError `state` when it runs, unless `force` kills it first
   */
  async delete({ force = false } = {}): Promise<void> {
    using _lock = await this.directory.lock();
    const stored = force ? this.directory.readIfWhole() : this.directory.read();
    if (!stored) {
      await this.#killAndWait(journaledProcesses(this.directory));
      return destroy(this.directory, this.#onWarning);
    }
    const status = this.statusOf(stored);
    if ((status === 'running' || status === 'paused') && !force) {
      throw new TareError('state', `the container ${this.id} is ${status}: stop it first, or delete it with --force`);
    }
    if (status === 'created' && !force && !this.#owned) {
      throw new TareError('state', `the container ${this.id} is created and not stopped: delete it with --force`);
    }
    if (this.#owned?.openGate && status === 'created') this.#owned.run.abort();
    else if (status !== 'stopped') await this.#killAndWait(stored);
    await destroy(this.directory, this.#onWarning);
    await this.#owned?.run.ended;
  }

  /** Kills it, and gives its supervisor the time to see that and to write it down. */
  async #killAndWait({
    init,
    stage,
    cgroup = [],
  }: Partial<Pick<StoredState, 'init' | 'stage' | 'cgroup'>>): Promise<void> {
    if (init) killProcess(init);
    thawKilled(cgroup);
    for (let tries = 0; tries < 200 && isAlive(stage); tries++) await sleep(10);
  }

  /** Leaves it to its supervisor: this process may end. @throws TareError `state` before it runs */
  detach(): void {
    this.#owned?.run.detach();
  }
}

/** What a process that waits for its start has come to nothing with. */
const ENDS: ReadonlySet<string> = new Set<ErrorCode>(['plan', 'command-not-found', 'command-not-executable']);
