/**
 * A stage at work: turns what it says on its report sockets into promises, handlers and errors, and its end into an
 * outcome. Every descriptor is closed when the run ends, unless somebody has taken it.
 */
import { native } from '../kernel/addon.js';
import { errnoName } from '../kernel/errno.js';
import { TareError } from '../kernel/error.js';
import type { Watcher } from '../kernel/native.js';
import { Promised } from '../kernel/promised.js';
import { SIGKILL } from '../kernel/signals.js';
import type { Cloned, PlanRun, RunOptions, StepAt, StepOutcome } from './driver.js';
import { answerErrno, stepFailure } from './failure.js';
import { LaneSocket } from './lane-socket.js';
import { PLAN_VERSION, REPLY_ABORT, REPLY_ANSWER, REPLY_GO, REPLY_SIGNAL } from './layout.js';
import type { Lane, Plan } from './plan.js';
import { endText, reapLater } from './reap.js';
import type { Report } from './reports.js';

/** How long an aborted stage may take to end by itself before it is killed, in milliseconds. */
const ABORT_MS = 2000;

export class StageRun implements PlanRun {
  readonly pid: number;
  readonly pidfd: number;
  readonly cloned = new Map<Lane, Cloned>();
  readonly gives = new Map<string, number>();
  readonly timings: (StepAt & StepOutcome)[] = [];
  readonly #plan: Plan;
  readonly #options: RunOptions;
  readonly #sockets: LaneSocket[] = [];
  readonly #watcher: Watcher;
  readonly #supervising = new Promised<void>();
  readonly #started = new Promised<void>();
  readonly #exited = new Promised<number>();
  readonly #ended = new Promised<TareError | undefined>();
  /** Reasons to fail, the one to tell first. */
  readonly #errors: { error: TareError; follows: boolean }[] = [];
  readonly #callErrors = new Map<Lane, unknown>();
  /** What went wrong after the supervised process had ended: its status is known all the same. */
  #late: TareError | undefined;
  #greeted = false;
  #supervised = false;
  /** Stage has ended, or is on its own: nothing more is read. */
  #over = false;
  /** Everything that it said has been handled, and the promises are settled. */
  #finished = false;
  /** The wait status to give, and that of stage. */
  #status: number | undefined;
  #stageStatus = 0;
  #killer: NodeJS.Timeout | undefined;

  /** Takes each of `fds` that it has made a lane of out of the array. */
  constructor(plan: Plan, options: RunOptions, stage: { pid: number; pidfd: number }, lanes: Lane[], fds: number[]) {
    this.#plan = plan;
    this.#options = options;
    this.pid = stage.pid;
    this.pidfd = stage.pidfd;
    const events = {
      report: (socket: LaneSocket, report: Report, fd: number | undefined) => this.#report(socket, report, fd),
      idle: () => this.#progress(),
      broken: (_: LaneSocket, error: unknown) => this.#break(error),
    };
    try {
      for (const lane of lanes) {
        this.#sockets.push(new LaneSocket(lane, fds[0] as number, events));
        fds.shift();
      }
      this.#watcher = native.watch(stage.pidfd, 1, () => this.#stageEnded());
    } catch (error) {
      for (const socket of this.#sockets) socket.close();
      throw error;
    }
  }

  get supervising(): Promise<void> {
    return this.#supervising.promise;
  }

  get started(): Promise<void> {
    return this.#started.promise;
  }

  get exited(): Promise<number> {
    return this.#exited.promise;
  }

  get ended(): Promise<TareError | undefined> {
    return this.#ended.promise;
  }

  take(name: string): number | undefined {
    const fd = this.gives.get(name);
    this.gives.delete(name);
    return fd;
  }

  signal(signal: number): void {
    if (this.#over || this.#exited.settled)
      throw new TareError('state', 'the plan has ended: there is nothing to signal');
    this.#outside.reply(REPLY_SIGNAL, 0, signal);
  }

  abort(): void {
    this.#break(new TareError('plan', 'the plan was aborted'));
  }

  detach(): void {
    if (this.#over || !this.#supervised)
      throw new TareError('state', 'stage does not supervise, so it cannot be left alone');
    clearTimeout(this.#killer);
    this.#over = true;
    this.#finished = true;
    this.#closeAll(false);
    reapLater(this.pidfd, this.#watcher);
    this.#dropGives(undefined);
  }

  get #outside(): LaneSocket {
    return this.#sockets[0] as LaneSocket;
  }

  /** One report. A promise holds back the lane's next one. */
  #report(socket: LaneSocket, report: Report, fd: number | undefined): Promise<void> | undefined {
    const { lane } = socket;
    if (fd !== undefined && report.type !== 'call' && report.type !== 'give' && report.type !== 'cloned') {
      native.close(fd);
      return this.#lied(`a ${report.type} report with a descriptor`);
    }
    switch (report.type) {
      case 'hello':
        if (this.#greeted || lane !== 'outside' || report.value !== PLAN_VERSION)
          return this.#lied('a second or foreign hello');
        this.#greeted = true;
        return undefined;
      case 'refused':
        this.#errors.push({ error: new TareError('plan', `stage refused the plan: ${report.name}`), follows: false });
        return undefined;
      case 'supervising':
        this.#supervised = true;
        this.#supervising.resolve();
        this.#progress();
        return undefined;
      case 'exited':
        return this.#processExited(report);
    }
    const step = this.#plan.lanes[lane]?.[report.step];
    if (!step) {
      if (fd !== undefined) native.close(fd);
      return this.#lied(`a ${report.type} report of a step that the ${lane} lane does not have`);
    }
    return this.#stepReport(socket, { lane, index: report.step, step }, report, fd);
  }

  #stepReport(socket: LaneSocket, at: StepAt, report: Report, fd: number | undefined): Promise<void> | undefined {
    switch (report.type) {
      case 'before': {
        const pending = this.#options.beforeStep?.(at);
        if (pending) return pending.then(() => socket.reply(REPLY_GO));
        socket.reply(REPLY_GO);
        return undefined;
      }
      case 'done': {
        const tolerated = report.error === 0 ? {} : { tolerated: errnoName(report.error) };
        const outcome = { ns: report.ns, skipped: report.value === 1, ...tolerated };
        if (this.#options.trace) this.timings.push({ ...at, ...outcome });
        return this.#options.afterStep?.(at, outcome) ?? undefined;
      }
      case 'failed': {
        const error = stepFailure(at.step, report, this.#callErrors.get(at.lane));
        // The other lane's end is what this lane saw; why it ended is told by the other lane.
        const follows = (at.step.kind === 'wait' || at.step.kind === 'post') && error.syscall?.errno === 'ECANCELED';
        this.#errors.push({ error, follows });
        return undefined;
      }
      case 'call':
        return this.#call(socket, report.name, fd);
      case 'give':
        if (fd === undefined) return this.#lied('a give report without a descriptor');
        this.#give(report.name, fd);
        return undefined;
      case 'cloned':
        if (fd === undefined || at.step.kind !== 'clone') {
          if (fd !== undefined) native.close(fd);
          return this.#lied('a cloned report that is none');
        }
        this.#clone({ lane: at.step.inputs.lane, pid: report.value, pidfd: fd });
        return undefined;
      default:
        return undefined;
    }
  }

  async #call(socket: LaneSocket, name: string, fd: number | undefined): Promise<void> {
    const { onCall } = this.#options;
    // What another lane gave before it let this one go on lies in its socket, unread perhaps.
    for (const other of this.#sockets) if (other !== socket) other.read();
    if (!onCall && fd !== undefined) native.close(fd);
    try {
      if (!onCall)
        throw new TareError('plan', `nothing answers calls of "${name}" here`, { cause: { code: 'ENOSYS' } });
      const answer = await onCall(name, fd);
      try {
        socket.reply(REPLY_ANSWER, 0, 0, answer === undefined ? [] : [answer]);
      } finally {
        if (answer !== undefined) native.close(answer);
      }
    } catch (error) {
      this.#callErrors.set(socket.lane, error);
      socket.reply(REPLY_ANSWER, answerErrno(error));
    }
  }

  #give(name: string, fd: number): void {
    if (this.#options.onGive) {
      this.#options.onGive(name, fd);
      return;
    }
    const before = this.gives.get(name);
    if (before !== undefined) native.close(before);
    this.gives.set(name, fd);
  }

  #clone(child: Cloned): void {
    if (!this.#options.onCloned) this.cloned.set(child.lane, child);
    else this.#options.onCloned(child);
  }

  /** The supervised process has ended. What its lane said before its end lies in another socket, unread perhaps. */
  #processExited({ value: status, error, name }: Report): undefined {
    this.#status = status;
    for (const socket of this.#sockets) if (socket.lane !== 'outside') socket.read();
    if (this.#errors.length === 0 && !this.#sockets.some((socket) => socket.waiting)) this.#exited.resolve(status);
    if (error !== 0) this.#late = new TareError('plan', `${name}: ${errnoName(error)}`);
    return undefined;
  }

  /** Settles `started` when the last lane has got through. */
  #progress(): void {
    if (this.#over) {
      this.#finishWhenIdle();
      return;
    }
    const others = this.#sockets.every((socket) => socket.ended || socket.lane === 'outside');
    if (others && this.#supervised && this.#errors.length === 0) this.#started.resolve();
  }

  #lied(what: string): undefined {
    this.#break(new TareError('protocol', `stage sent ${what}`));
    return undefined;
  }

  /** Fails the run from this side: stage is told to stop, and is killed if it does not. */
  #break(reason: unknown): void {
    if (this.#finished || this.#killer) return;
    const error =
      reason instanceof TareError
        ? reason
        : new TareError('plan', `the plan was aborted: ${String(reason)}`, { cause: reason });
    if (!this.#exited.settled) this.#errors.unshift({ error, follows: false });
    if (this.#over) return;
    this.#outside.reply(REPLY_ABORT);
    this.#killer = setTimeout(() => this.#kill(), this.#outside.ended ? 0 : ABORT_MS);
  }

  #kill(): void {
    if (!this.#over) native.pidfdSendSignal(this.pidfd, SIGKILL);
  }

  #stageEnded(): void {
    const status = native.waitPidfd(this.pidfd);
    if (status === null || this.#over) return;
    this.#over = true;
    this.#watcher.close();
    this.#stageStatus = status;
    for (const socket of this.#sockets) socket.read();
    this.#finishWhenIdle();
  }

  /** What the end of stage means when neither a failure nor the end of a supervised process was reported. */
  #judge(): void {
    if (this.#errors.length > 0 || this.#status !== undefined) return;
    const status = this.#stageStatus;
    const last = this.#plan.lanes.outside.at(-1)?.kind;
    if (last === 'exec' || last === 'exec_fd' || last === 'exit' || (last !== 'supervise' && status === 0))
      this.#status = status;
    else
      this.#errors.push({
        error: new TareError('plan', `stage ${endText(status)} before the plan was done`),
        follows: false,
      });
  }

  /** Handlers that hold back what a lane said get their time; one that holds back nothing is not waited for. */
  #finishWhenIdle(): void {
    if (this.#finished || this.#sockets.some((socket) => socket.waiting)) return;
    this.#finished = true;
    clearTimeout(this.#killer);
    this.#closeAll(true);
    this.#judge();
    const error = (this.#errors.find((one) => !one.follows) ?? this.#errors[0])?.error;
    const early = error ?? new TareError('state', 'the plan ended, and has no supervise step');
    if (error || this.#status === undefined) this.#exited.reject(early);
    else this.#exited.resolve(this.#status);
    this.#supervising.reject(early);
    if (error) this.#started.reject(error);
    else this.#started.resolve();
    // Who awaited `exited` may take what was given: such continuations run before an immediate.
    if (this.gives.size === 0) this.#ended.resolve(error ?? this.#late);
    else setImmediate(() => this.#dropGives(error ?? this.#late));
  }

  #dropGives(error: TareError | undefined): void {
    for (const fd of this.gives.values()) native.close(fd);
    this.gives.clear();
    this.#ended.resolve(error);
  }

  #closeAll(pidfd: boolean): void {
    for (const socket of this.#sockets) socket.close();
    for (const child of this.cloned.values()) native.close(child.pidfd);
    if (pidfd) native.close(this.pidfd);
  }
}
