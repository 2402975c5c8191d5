/**
 * The report socket of one lane: messages in, one handler at a time, replies out. While a handler's promise is pending the
 * messages behind it wait in a queue, so what happens to a lane is told in the order in which it happened.
 */
import { native } from '../kernel/addon.js';
import { TareError } from '../kernel/error.js';
import type { Watcher } from '../kernel/native.js';
import { REPLY } from './layout.js';
import type { Lane } from './plan.js';
import { decodeReport, MAX_REPORT, type Report } from './reports.js';

/** Every step makes at most BEFORE, DONE and one more; a lane that says more than this while nobody listens is not stage. */
const MAX_QUEUE = 3 * 8192;

export interface LaneEvents {
  /** One report, and the descriptor that came with it, which the handler now owns. What it throws, or rejects with, goes to `broken`. */
  report(socket: LaneSocket, report: Report, fd: number | undefined): Promise<void> | undefined;
  /** All reports that have come are handled; `ended` says whether more can come. */
  idle(socket: LaneSocket): void;
  broken(socket: LaneSocket, error: unknown): void;
}

export class LaneSocket {
  readonly lane: Lane;
  /** The lane's process closed its end: it executed its program, or ended; and all that it said has been handled. */
  ended = false;
  readonly #fd: number;
  readonly #events: LaneEvents;
  readonly #watcher: Watcher;
  readonly #queue: { report: Report; fd: number | undefined }[] = [];
  #busy = false;
  #open = true;
  #eof = false;

  constructor(lane: Lane, fd: number, events: LaneEvents) {
    this.lane = lane;
    this.#fd = fd;
    this.#events = events;
    this.#watcher = native.watch(fd, 1, () => this.read());
  }

  /** True while messages are held back by a handler. */
  get waiting(): boolean {
    return this.#queue.length > 0;
  }

  /** Takes all messages that are there. */
  read(): void {
    while (this.#open && !this.#eof) {
      try {
        const message = native.recvmsg(this.#fd, MAX_REPORT, 1);
        if (!message) return;
        if (message.data.length === 0) this.#eof = true;
        else this.#take(message.data, message.fds);
      } catch (error) {
        // The other side went without reading a reply. Said once; what it had sent before can still be read.
        if (error instanceof TareError && error.syscall?.errno === 'ECONNRESET') continue;
        this.#events.broken(this, error);
        return;
      }
    }
    if (!this.#eof || !this.#open) return;
    this.#watcher.close();
    if (!this.#busy) this.#end();
  }

  /** Sends struct reply. A lane that has gone is no error: its end will be read. */
  reply(type: number, error = 0, value = 0, fds: readonly number[] = []): void {
    if (!this.#open) return;
    const reply = Buffer.alloc(REPLY.size);
    reply.writeUInt32LE(type, REPLY.type);
    reply.writeInt32LE(error, REPLY.error);
    reply.writeInt32LE(value, REPLY.value);
    reply.writeInt32LE(value < 0 ? -1 : 0, REPLY.value + 4);
    try {
      native.sendmsg(this.#fd, reply, fds);
    } catch (failure) {
      const errno = failure instanceof TareError ? failure.syscall?.errno : undefined;
      if (errno !== 'EPIPE' && errno !== 'ECONNRESET') throw failure;
    }
  }

  /** Stops, and closes every descriptor that nobody has taken. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watcher.close();
    native.close(this.#fd);
    for (const { fd } of this.#queue.splice(0)) if (fd !== undefined) native.close(fd);
  }

  #take(data: Buffer, fds: readonly number[]): void {
    let report: Report;
    try {
      report = decodeReport(data);
      if (this.#queue.length >= MAX_QUEUE) throw new TareError('protocol', 'stage sent reports without end');
    } catch (error) {
      for (const fd of fds) native.close(fd);
      throw error;
    }
    if (this.#busy) this.#queue.push({ report, fd: fds[0] });
    else this.#handle(report, fds[0]);
  }

  #handle(report: Report, fd: number | undefined): void {
    let pending: Promise<void> | undefined;
    try {
      pending = this.#events.report(this, report, fd);
    } catch (error) {
      this.#events.broken(this, error);
    }
    if (!pending) return;
    this.#busy = true;
    pending.then(
      () => this.#next(),
      (error) => {
        this.#events.broken(this, error);
        this.#next();
      },
    );
  }

  #next(): void {
    this.#busy = false;
    while (this.#open && !this.#busy) {
      const next = this.#queue.shift();
      if (!next) break;
      this.#handle(next.report, next.fd);
    }
    if (this.#busy) return;
    if (this.#open && this.#eof) this.#end();
    else this.#events.idle(this);
  }

  #end(): void {
    this.ended = true;
    this.close();
    this.#events.idle(this);
  }
}
