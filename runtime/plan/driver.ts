/**
 * What the driver (run.ts) promises to whoever runs a plan. A run begins when stage is spawned, and ends when stage has
 * ended and every descriptor of the run is closed, or has been handed to the caller, who then owns it.
 */
import type { TareError } from '../kernel/error.js';
import type { Lane, Step } from './plan.js';

export interface RunOptions {
  /** Descriptors for the plan's given slots, by name. The caller keeps them; stage gets duplicates. */
  readonly given?: Readonly<Record<string, number>>;
  /** The container's standard streams. 0, 1 and 2 of this process unless told. The caller keeps them. */
  readonly stdio?: readonly [number, number, number];
  /** The program: a descriptor of stage. A sealed copy of the installed one unless told. */
  readonly stage?: number;
  /** Environment of stage itself (not of the container, which an exec step gives). Empty unless told. */
  readonly stageEnv?: readonly string[];
  /**
   * Answers a call step: name, and the descriptor that came along, which the handler now owns. What it returns is sent to
   * stage and closed here. Throwing fails the step: with the errno, when the error has one (`syscall` or `code`), else EIO;
   * the error is the cause of the run's. Without a handler a call step fails with ENOSYS.
   */
  onCall?(name: string, fd: number | undefined): Promise<number | undefined> | number | undefined;
  /** A give step: the descriptor belongs to the callee. Without this, gives are collected in `PlanRun.gives`. */
  onGive?(name: string, fd: number): void;
  /** A clone step succeeded. The pidfd belongs to the callee. Without this, it is kept for `PlanRun.cloned` and closed when the run ends. */
  onCloned?(child: Cloned): void;
  /** Step mode: called before each step; stage waits until the promise resolves. Rejection aborts the run. */
  beforeStep?(at: StepAt): Promise<void> | void;
  /** Called when a step is done; with `trace` or `beforeStep` only. */
  afterStep?(at: StepAt, outcome: StepOutcome): Promise<void> | void;
  /** Records how long each step took, in `PlanRun.timings`. */
  readonly trace?: boolean;
}

/** Where in the plan. */
export interface StepAt {
  readonly lane: Lane;
  readonly index: number;
  readonly step: Step;
}

export interface StepOutcome {
  /** Time that the step took, in nanoseconds. */
  readonly ns: number;
  /** True when its guard did not hold. */
  readonly skipped: boolean;
  /** The errno's name, when one was tolerated. */
  readonly tolerated?: string;
}

export interface Cloned {
  readonly lane: Lane;
  readonly pid: number;
  readonly pidfd: number;
}

export interface PlanRun {
  /** Pid of stage, which runs the outside lane. */
  readonly pid: number;
  /** A pidfd of stage; closed when the run ends. */
  readonly pidfd: number;
  /** Children by lane, as clone steps made them. Their pidfds are closed when the run ends. */
  readonly cloned: ReadonlyMap<Lane, Cloned>;
  /** Descriptors that give steps passed, by name. Take one with `take`, at the latest when `exited` settles; the rest are then closed. */
  readonly gives: ReadonlyMap<string, number>;
  /** Takes a given descriptor over: the caller closes it. */
  take(name: string): number | undefined;
  readonly timings: readonly (StepAt & StepOutcome)[];
  /** Resolves when the supervise step is reached; rejects as `exited` does when that does not come. Other lanes may still be at work. */
  readonly supervising: Promise<void>;
  /** Resolves when every lane but the outside one has got through to its end (its program is executed) and the outside lane supervises, or is done. Rejects as `exited` does. */
  readonly started: Promise<void>;
  /**
   * The wait status: of the supervised process, or, in a plan without supervise, of stage itself, as wait(2) encodes it.
   * Rejects with a TareError when a step failed (`plan`, `command-not-found`, `command-not-executable`), when stage refused
   * the plan (`plan`), was killed or said what it must not (`protocol`).
   */
  readonly exited: Promise<number>;
  /** Settles, never rejects, when the run is over and its descriptors are closed; the error, if there was one. */
  readonly ended: Promise<TareError | undefined>;
  /** Sends a signal to the supervised process; what comes before supervise is sent then. Throws `state` after the end. */
  signal(signal: number): void;
  /** Stops: stage kills its children and exits. Calling it again, or after the end, does nothing. */
  abort(): void;
  /** Leaves stage to supervise alone: this run's descriptors are closed, and `exited` never settles. Throws `state` when it does not supervise. */
  detach(): void;
}
