/**
 * Launching: the plan of a container is run up to its start gate, or on into its program. What it will make is in the
 * journal before the plan begins; whose processes they are, as soon as there are any.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { native } from '../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants/open.js';
import { TareError } from '../kernel/error.js';
import { closeAll } from '../kernel/fd.js';
import { bootId, identityOf, pidNamespace } from '../kernel/process-identity.js';
import { Promised } from '../kernel/promised.js';
import type { Config, ContainerId } from '../oci/index.js';
import {
  CREATE,
  describeStep,
  HOOK_CALLS,
  initImage,
  type Lane,
  type Plan,
  type PlanRun,
  preservedFds,
  RESCTRL,
  type RunOptions,
  resctrlFolders,
  runPlan,
  type StepDescription,
} from '../plan/index.js';
import { answerCall } from './calls.js';
import { journal, journalCgroups } from './journal.js';
import type { Prepared, PrepareOptions } from './prepare.js';
import { makeRootPlace, rootPlace } from './root-place.js';
import { GATE_SOCKET, type StateDirectory } from './state-directory.js';
import type { StoredState } from './stored-state.js';

/** For `Container.create` and `Container.run`: the bundle, and how the container is watched. */
export interface CreateOptions extends Omit<PrepareOptions, 'id' | 'gate'> {
  readonly id: string;
  /**
   * Who reaps the container and learns its exit status. `stage` (unless told): a supervisor of our own, which outlives this process. `caller`:
   * the nearest subreaper above this process, as the contract of an OCI runtime with its manager is; anyone may then start it.
   */
  readonly supervisor?: 'stage' | 'caller';
  /** `/run/tare` for root, unless told. */
  readonly stateRoot?: string;
  /** The container's standard streams; this process's own unless told. Not used with a terminal. */
  readonly stdio?: readonly [number, number, number];
  /**
   * A folder of the container's own (what it writes over its image), which is removed with it. `fill` makes it, once it is in the journal: it
   * is given the state directory, which is there as long as the container.
   */
  readonly folder?: { readonly path: string; readonly fill: (stateDirectory: string) => void | Promise<void> };
  /** Once it has ended and this process is gone, `gc` removes it. */
  readonly autoRemove?: boolean;
  /** Watches, or single-steps, the plan: see the driver's options of the same names. */
  readonly driver?: Pick<RunOptions, 'beforeStep' | 'afterStep' | 'trace'>;
  /** Called with the plan before it runs, and with each process of it. */
  readonly onPlan?: (plan: Plan) => void;
  readonly onProcess?: (lane: Lane, pid: number) => void;
  /** Called for each thing that is asked for and done in part. */
  readonly onWarning?: (sentence: string) => void;
}

/** What only the process that created a container has. */
export interface Launched {
  readonly run: PlanRun;
  /** Lets it start; not there where it is started through its socket, or has been. */
  readonly openGate?: () => void;
  /** Stage has ended, and left the container to the caller's subreaper. */
  readonly left?: boolean;
}

type State = Omit<StoredState, 'formatVersion'>;

/** The state before anything has been done. */
export function firstState(id: ContainerId, { bundle, cgroup }: Prepared, options: CreateOptions): State {
  const creator = identityOf(process.pid);
  if (!creator) throw new TareError('internal', '/proc/self is not of this process');
  return {
    ociVersion: bundle.config.ociVersion,
    id,
    bundle: bundle.path,
    rootfs: bundle.rootfs,
    ...(bundle.config.annotations && { annotations: bundle.config.annotations }),
    status: 'creating',
    bootId: bootId(),
    pidNamespace: pidNamespace(),
    creator,
    cgroup: cgroup?.places ?? [],
    ...(cgroup?.scope && { scope: cgroup.scope }),
    created: new Date().toISOString(),
    autoRemove: options.autoRemove ?? false,
    supervised: options.supervisor !== 'caller',
    ...(options.noNewKeyring ? { noNewKeyring: true } : { keyring: options.keyring ?? keyringName(id) }),
  };
}

/** Of a keyring that nobody else can have made before: see `joinKeyring`. */
export function keyringName(id: ContainerId): string {
  return `_ses.${id}.${randomBytes(16).toString('hex')}`;
}

/** Runs the plan until it waits at the gate, or its program runs. Throws what made it fail, when all of it is over. */
export async function launch(
  directory: StateDirectory,
  state: State,
  { plan, cgroup, bundle }: Prepared,
  options: CreateOptions,
  gate: PrepareOptions['gate'],
): Promise<Launched> {
  directory.writeConfig(bundle.config);
  if (options.folder) {
    // First, so that it is undone last: nothing of the container runs by then.
    journal(directory, { undo: 'tree', path: options.folder.path });
    await options.folder.fill(resolve(directory.path));
  }
  if (cgroup?.scope) journal(directory, { undo: 'scope', scope: cgroup.scope });
  if (cgroup) await journalCgroups(directory, cgroup.places);
  const classes = cacheClasses(bundle.config, state.id);
  if (classes.length > 0) journal(directory, { undo: 'folders', paths: classes });

  if (plan.given.includes(CREATE.rootPlace)) {
    journal(directory, { undo: 'root', path: rootPlace(directory.path, state.id) });
    makeRootPlace(rootPlace(directory.path, state.id));
  }

  const reached = new Promised<void>();
  const opened = new Promised<void>();
  const born = new Promised<void>();
  let init: StoredState['init'];
  options.onPlan?.(plan);
  const run = startPlan(directory, plan, {
    ...options.driver,
    stdio: options.stdio,
    onCall: async (name, fd) => {
      // Its lane may be heard before the one that cloned it.
      if (OF_THE_BORN.has(name)) await born.promise;
      if (name === CREATE.written) return undefined;
      if (name !== CREATE.start)
        return answerCall({ directory, state: { ...state, init }, config: bundle.config }, name, fd);
      reached.resolve();
      await opened.promise;
      return undefined;
    },
    onCloned: (child) => {
      native.close(child.pidfd);
      options.onProcess?.(child.lane, child.pid);
      const identity = identityOf(child.pid);
      // A bridge goes with stage, whatever happens; and it may be heard of after the child that it had.
      if (child.lane !== 'inside') return;
      if (identity) journal(directory, { undo: 'process', process: identity });
      init = identity;
      born.resolve();
    },
  });
  options.onProcess?.('outside', run.pid);
  const stage = identityOf(run.pid);
  if (stage) journal(directory, { undo: 'process', process: stage });
  await arrival(run, gate, reached.promise);
  if (gate === 'socket') {
    directory.writeGateSteps(gateSteps(plan));
    directory.write({ ...state, status: 'created', init });
    return { run, left: true };
  }
  directory.write({ ...state, status: gate ? 'created' : 'running', init, stage });
  return { run, ...(gate && { openGate: () => opened.resolve() }) };
}

/** Calls in which the container's first process has a part. */
const OF_THE_BORN: ReadonlySet<string> = new Set([
  CREATE.seccompListener,
  CREATE.scope,
  CREATE.written,
  ...Object.values(HOOK_CALLS),
]);

/** What of resctrl is made for this container alone. Nothing that is there already: undoing would take it from another. */
function cacheClasses(config: Config, id: ContainerId): string[] {
  const paths = resctrlFolders(config.linux?.intelRdt, id).map((name) => join(RESCTRL, name));
  const taken = paths.find((path) => existsSync(path));
  if (taken !== undefined) throw new TareError('exists', `${taken} is there already: it is another's`, { path: taken });
  return paths;
}

/** Resolves where the plan stops: at the gate, which ends it where that is a socket, or with its program. */
async function arrival(run: PlanRun, gate: PrepareOptions['gate'], reached: Promise<void>): Promise<void> {
  const goal = gate === 'call' ? reached : gate === 'socket' ? run.exited.then(() => undefined) : run.started;
  // A program may have ended before we hear that it started.
  const over = run.ended.then((error) => error ?? (gate === 'call' ? endedEarly() : undefined));
  const failure = await Promise.race([
    goal.then(
      () => undefined,
      async (error: TareError) => {
        await run.ended;
        return error;
      },
    ),
    over,
  ]);
  if (failure) throw failure;
}

/** What the steps behind the gate are: who starts the container has no plan. */
function gateSteps(plan: Plan): Record<number, StepDescription> {
  const steps = plan.lanes.inside ?? [];
  const first = steps.findIndex((step) => step.kind === 'await_start');
  return Object.fromEntries(steps.flatMap((step, i) => (i < first ? [] : [[i, describeStep(step)]])));
}

/** The sockets in the state directory: by what the plan calls them. */
const LISTENERS = { [CREATE.listener]: 'sock', [CREATE.gate]: GATE_SOCKET } as const;

function startPlan(directory: StateDirectory, plan: Prepared['plan'], options: RunOptions): PlanRun {
  const given: Record<string, number> = {};
  try {
    given[CREATE.state] = native.open(directory.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const [slot, name] of Object.entries(LISTENERS)) {
      if (plan.given.includes(slot)) given[slot] = native.listenAt(given[CREATE.state] as number, name);
    }
    if (plan.given.includes(CREATE.rootPlace)) {
      given[CREATE.rootPlace] = native.open(rootPlace(directory.path, directory.id), O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    // The image of init stays open as long as this process; the others are ours to close.
    const images = plan.given.includes(CREATE.init) && { [CREATE.init]: initImage() };
    return runPlan(plan, { ...options, given: { ...given, ...preservedFds(plan.given), ...images } });
  } finally {
    closeAll(Object.values(given));
  }
}

function endedEarly(): TareError {
  return new TareError('plan', 'the plan ended before the container was created');
}
