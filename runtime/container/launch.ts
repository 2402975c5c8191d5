/**
 * Launching: the plan of a container is run up to its start gate, or on into its program. What it will make is in the
 * journal before the plan begins; whose processes they are, as soon as there are any.
 */
import { native } from '../kernel/addon.js';
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from '../kernel/constants/open.js';
import { TareError } from '../kernel/error.js';
import { closeAll } from '../kernel/fd.js';
import { bootId, identityOf } from '../kernel/process-identity.js';
import type { ContainerId } from '../oci/index.js';
import { CREATE, initImage, type Lane, type Plan, type PlanRun, type RunOptions, runPlan } from '../plan/index.js';
import { Promised } from '../plan/promised.js';
import { journal } from './journal.js';
import type { Prepared, PrepareOptions } from './prepare.js';
import type { StateDirectory, StoredState } from './state-directory.js';

export interface CreateOptions extends Omit<PrepareOptions, 'id' | 'gate'> {
  readonly id: string;
  /** `/run/tare` for root, unless told. */
  readonly stateRoot?: string;
  /** The container's standard streams; this process's own unless told. Not used with a terminal. */
  readonly stdio?: readonly [number, number, number];
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
  /** Lets it start. */
  readonly openGate: () => void;
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
    ...(bundle.config.annotations && { annotations: bundle.config.annotations }),
    status: 'creating',
    bootId: bootId(),
    creator,
    cgroup: cgroup?.places ?? [],
    created: new Date().toISOString(),
    autoRemove: options.autoRemove ?? false,
  };
}

/** Runs the plan until it waits at the gate, or its program runs. Throws what made it fail, when all of it is over. */
export async function launch(
  directory: StateDirectory,
  state: State,
  { plan, cgroup }: Prepared,
  options: CreateOptions,
  hasGate: boolean,
): Promise<Launched> {
  if (cgroup) journal(directory, { undo: 'cgroups', places: cgroup.places });

  const reached = new Promised<void>();
  const gate = new Promised<void>();
  let init: StoredState['init'];
  options.onPlan?.(plan);
  const run = startPlan(directory, plan, {
    ...options.driver,
    stdio: options.stdio,
    onCall: async (name) => {
      if (name !== CREATE.start) throw new TareError('plan', `nothing answers calls of "${name}" here`);
      reached.resolve();
      await gate.promise;
      return undefined;
    },
    onCloned: (child) => {
      native.close(child.pidfd);
      options.onProcess?.(child.lane, child.pid);
      init = identityOf(child.pid);
      if (init) journal(directory, { undo: 'process', process: init });
    },
  });
  options.onProcess?.('outside', run.pid);
  const stage = identityOf(run.pid);
  if (stage) journal(directory, { undo: 'process', process: stage });
  const goal = hasGate ? reached.promise : run.started;
  // A program may have ended before we hear that it started.
  const over = run.ended.then((error) => error ?? (hasGate ? endedEarly() : undefined));
  const failure = await Promise.race([goal.then(() => undefined, lastWord), over]);
  if (failure) throw failure;
  directory.write({ ...state, status: hasGate ? 'created' : 'running', init, stage });
  return { run, openGate: () => gate.resolve() };

  async function lastWord(error: TareError): Promise<TareError> {
    await run.ended;
    return error;
  }
}

function startPlan(directory: StateDirectory, plan: Prepared['plan'], options: RunOptions): PlanRun {
  const given: Record<string, number> = {};
  try {
    given[CREATE.state] = native.open(directory.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    given[CREATE.listener] = native.listenAt(given[CREATE.state] as number, 'sock');
    // The image of init stays open as long as this process; the others are ours to close.
    const images = plan.given.includes(CREATE.init) && { [CREATE.init]: initImage() };
    return runPlan(plan, { ...options, given: { ...given, ...images } });
  } finally {
    closeAll(Object.values(given));
  }
}

function endedEarly(): TareError {
  return new TareError('plan', 'the plan ended before the container was created');
}
