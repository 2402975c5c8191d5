/**
 * Opens the gate of a container whose stage has ended: connects to the socket at which *inside* waits (the step `await_start`). The
 * connection becomes the lane's report socket: it greets, may call, and either fails with a report or closes its end by exec.
 */
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import { Promised } from '../kernel/promised.js';
import { answerErrno, describedFailure, type StepDescription } from './failure.js';
import { LaneSocket } from './lane-socket.js';
import { PLAN_VERSION, REPLY_ANSWER } from './layout.js';
import type { Report } from './reports.js';

export interface GateOptions {
  /** Those of *inside* that come after the gate, by their index in the lane: an error tells which of them failed. */
  readonly steps: Readonly<Record<number, StepDescription>>;
  /** Answers call steps after the gate: see `RunOptions.onCall`. */
  onCall?(name: string, fd: number | undefined): Promise<number | undefined> | number | undefined;
}

/**
 * Lets the program start, and resolves when it runs.
 * @param directory a descriptor of the folder in which the socket lies under `name`
 * @throws TareError `state` when nobody waits there (any more); what a failed step gives; `protocol`
 */
export async function openGate(directory: number, name: string, { steps, onCall }: GateOptions): Promise<void> {
  const over = new Promised<void>();
  let greeted = false;
  let cause: unknown;
  const socket = new LaneSocket('inside', connect(directory, name), {
    report: (lane, report, fd) => {
      if (report.type === 'call') return answer(lane, report, fd);
      if (fd !== undefined) native.close(fd);
      if (report.type === 'hello' && !greeted && report.value === PLAN_VERSION) greeted = true;
      else over.reject(failureOf(report));
      return undefined;
    },
    idle: (lane) => {
      if (!lane.ended) return;
      if (greeted) over.resolve();
      else over.reject(new TareError('state', 'the container’s process has ended before it could be started'));
    },
    broken: (_, error) => over.reject(error),
  });
  try {
    await over.promise;
  } finally {
    socket.close();
  }

  async function answer(lane: LaneSocket, report: Report, fd: number | undefined): Promise<void> {
    if (!onCall && fd !== undefined) native.close(fd);
    try {
      if (!onCall)
        throw new TareError('plan', `nothing answers calls of "${report.name}" here`, { cause: { code: 'ENOSYS' } });
      const given = await onCall(report.name, fd);
      try {
        lane.reply(REPLY_ANSWER, 0, 0, given === undefined ? [] : [given]);
      } finally {
        if (given !== undefined) native.close(given);
      }
    } catch (error) {
      cause = error;
      lane.reply(REPLY_ANSWER, answerErrno(error));
    }
  }

  function failureOf(report: Report): TareError {
    const step = steps[report.step];
    if (report.type !== 'failed' || !step) {
      return new TareError('protocol', `the container's process sent a ${report.type} report that it must not`);
    }
    return describedFailure(step, report, cause);
  }
}

function connect(directory: number, name: string): number {
  try {
    return native.connectAt(directory, name);
  } catch (error) {
    const errno = error instanceof TareError ? error.syscall?.errno : undefined;
    if (errno !== 'ECONNREFUSED' && errno !== 'ENOENT') throw error;
    throw new TareError('state', 'the container’s process does not wait for its start', { cause: error });
  }
}
