/**
 * A container as anybody finds it, by its state directory: what it is doing, what it uses, and what can be done to it while it is there.
 * Making it, starting it and removing it is in container.ts. runtime-spec, runtime.md, "State".
 */
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
  thawCgroup,
  thawKilled,
} from '../kernel/cgroup/index.js';
import { TareError } from '../kernel/error.js';
import type { OwnedFd } from '../kernel/fd.js';
import { bootId, isAlive, openProcess, pidNamespace, processEnd } from '../kernel/process-identity.js';
import { isSignal, parseSignal, SIGKILL, SIGTERM } from '../kernel/signals.js';
import {
  type Config,
  type ContainerId,
  OCI_VERSION,
  type OciState,
  type Resources,
  type Status,
} from '../oci/index.js';
import { type CheckpointOptions, checkpoint } from './checkpoint.js';
import { type Exec, type ExecOptions, execIn } from './exec.js';
import { rootOf } from './exec-place.js';
import { idMapsOf, openRootTree } from './root-tree.js';
import type { StateDirectory } from './state-directory.js';
import type { StoredState } from './stored-state.js';
import { type RdtChange, updateLimits } from './update.js';
import { parseUserIn } from './users.js';

export class FoundContainer {
  readonly id: ContainerId;
  protected readonly directory: StateDirectory;

  protected constructor(directory: StateDirectory) {
    this.id = directory.id;
    this.directory = directory;
  }

  /** The state, as the specification has it. */
  state(): OciState {
    const stored = this.directory.read();
    const status = this.statusOf(stored);
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
    return this.directory.read().created;
  }

  /** Resolves when its first process has ended, whoever learns how. */
  async ended(): Promise<void> {
    const { init } = this.directory.read();
    if (init) await processEnd(init);
  }

  /**
   * Sends a signal to its first process. SIGKILL reaches it also while it is paused.
   * @throws TareError `state` when it has ended
   */
  kill(signal: number): void {
    const { init, cgroup } = this.directory.read();
    using pidfd = init && openProcess(init);
    if (!pidfd) throw notRunning(this.id);
    native.pidfdSendSignal(pidfd.fd, signal);
    // A frozen process of version 1 dies only when it is thawed.
    if (signal === SIGKILL) thawKilled(cgroup);
  }

  /** The signal that asks it to end: as its annotation has it (STOPSIGNAL of an image), or SIGTERM, also where that is no signal. image-spec, conversion.md */
  get stopSignal(): number {
    const wanted = this.directory.read().annotations?.['org.opencontainers.image.stopSignal'];
    return wanted !== undefined && isSignal(wanted) ? parseSignal(wanted) : SIGTERM;
  }

  /** Sends a signal to every process of it, also when its first one has ended; nothing when none is left. */
  async killAll(signal: number): Promise<void> {
    const { cgroup, init } = this.directory.read();
    if ((await signalCgroup(cgroup, signal)) === 0 && isAlive(init)) this.kill(signal);
  }

  /** Whether its processes end with its first one, because they have a pid namespace that is its own. */
  get endsWithItsFirst(): boolean {
    return this.config.linux?.namespaces?.some(({ type, path }) => type === 'pid' && !path) ?? false;
  }

  /** Its configuration, as it was carried out. */
  get config(): Config {
    return this.directory.readConfig();
  }

  /** A user as the container knows it: see `parseUserIn`. */
  parseUser(text: string): ReturnType<typeof parseUserIn> {
    const stored = this.directory.read();
    return parseUserIn(rootOf(stored), text);
  }

  /**
   * Starts another process in it, and resolves when its program runs. It ends with the container.
   * @throws TareError `state` when it has ended, or is paused; `command-not-found`, `command-not-executable`, `plan`
   */
  async exec(options: ExecOptions): Promise<Exec> {
    const status = this.statusOf(this.directory.read());
    if (status === 'stopped' || status === 'creating')
      throw new TareError('state', `cannot exec in a ${status} container`);
    if (status === 'paused' && !options.ignorePaused)
      throw new TareError('state', 'cannot exec in a paused container: resume it first');
    return execIn(this.directory, options);
  }

  /**
   * Its root file system as it is now, without what is mounted in it, and who its users are here. The caller closes the descriptor.
   * @throws TareError `state` when it has ended, and as `openRootTree`
   */
  async openRoot(): Promise<{ readonly tree: OwnedFd } & ReturnType<typeof idMapsOf>> {
    const stored = this.directory.read();
    const status = this.statusOf(stored);
    if (!stored.init || status === 'stopped' || status === 'creating')
      throw new TareError('state', `the container ${this.id} is ${status}: its root is not there to be looked at`);
    return { ...idMapsOf(stored.init), tree: await openRootTree(stored.init) };
  }

  /** Stops all its processes where they are. @throws TareError `state` unless it is running, or created */
  async pause(): Promise<void> {
    using _lock = await this.directory.lock();
    const status = this.statusOf(this.directory.read());
    if (status !== 'running' && status !== 'created')
      throw new TareError('state', `the container ${this.id} is ${status}: only one that runs can be paused`);
    await freezeCgroup(this.#cgroup('paused'));
  }

  /** Lets them go on. @throws TareError `state` unless it is paused */
  async resume(): Promise<void> {
    using _lock = await this.directory.lock();
    const status = this.statusOf(this.directory.read());
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
    using _lock = await this.directory.lock();
    const status = this.statusOf(this.directory.read());
    if (status === 'stopped' || status === 'creating')
      throw new TareError('state', `container not running: ${this.id} is ${status}`);
    await updateLimits(this.directory, this.#cgroup('limited'), change, rdt);
  }

  /** How many of its processes the kernel has killed because its memory limit was reached; 0 where that cannot be known any more. */
  oomKills(): number {
    try {
      return oomKills(this.directory.readIfWhole()?.cgroup ?? []);
    } catch (error) {
      // Who killed it has deleted it by now.
      if (error instanceof TareError && error.code === 'not-found') return 0;
      throw error;
    }
  }

  /**
   * Writes its processes to files, by CRIU. Afterwards it has ended, unless it was to go on.
   * @throws TareError `state` unless it runs, or is paused; and as `checkpoint` of checkpoint.ts
   */
  async checkpoint(options: CheckpointOptions): Promise<void> {
    using _lock = await this.directory.lock();
    const stored = this.directory.read();
    const status = this.statusOf(stored);
    if (status !== 'running' && status !== 'paused')
      throw new TareError('state', `Container cannot be checkpointed in ${status} state`);
    await checkpoint(stored, this.config, options);
  }

  /** Where its cgroups are. @throws TareError `unsupported` when it has none: a user without a delegated cgroup */
  #cgroup(whatFor: string): readonly CgroupPlace[] {
    const { cgroup } = this.directory.read();
    if (cgroup.length > 0) return cgroup;
    throw new TareError('unsupported', `the container ${this.id} has no cgroup, so its processes cannot be ${whatFor}`);
  }

  /** What it is doing, as far as that can be seen from here. */
  protected statusOf(stored: StoredState): Status {
    if (stored.status === 'creating') return 'creating';
    if (stored.bootId !== bootId() || !isThere(stored) || this.directory.readExit()) return 'stopped';
    return isFrozen(stored.cgroup) ? 'paused' : stored.status;
  }
}

/** Of a container of another pid namespace only the cgroup tells: its pids are other processes here, or nobody. */
function isThere({ init, cgroup, pidNamespace: namespace }: StoredState): boolean {
  if (namespace === undefined || namespace === pidNamespace()) return isAlive(init);
  return processesOf(cgroup).length > 0;
}

/** The words are runc's: containerd takes them for "it is gone". */
function notRunning(id: ContainerId): TareError {
  return new TareError('state', `container not running: ${id} has ended, there is nothing to signal`);
}
