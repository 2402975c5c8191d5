/**
 * A client of the supervisor: stage, which watches over a container when nobody else does any more, answers on a socket in
 * the container's state directory. Supervisors outlive upgrades, so both sides first agree on a version (the supervisor's
 * socket in native/stage/protocol.h). Only root and the user who started the supervisor are answered.
 */
import { native } from '../kernel/addon.js';
import { errnoName } from '../kernel/errno.js';
import { TareError } from '../kernel/error.js';
import type { Watcher } from '../kernel/native.js';
import { Promised } from '../kernel/promised.js';
import { signalName } from '../kernel/signals.js';
import {
  SUP_ANSWER,
  SUP_HELLO,
  SUP_REQUEST,
  SUP_SIGNAL,
  SUP_STATUS,
  SUP_STDIO,
  SUPERVISOR_MAX,
  SUPERVISOR_MIN,
} from './layout.js';

/** How it stands with the first process of a container. */
export interface SupervisorStatus {
  readonly running: boolean;
  /** In the supervisor's pid namespace. */
  readonly pid: number;
  /** The wait status once it has ended. */
  readonly status: number;
}

interface Answer {
  readonly error: number;
  readonly version: number;
  readonly status: SupervisorStatus;
  readonly fds: readonly number[];
}

/** How long a supervisor may take to answer, in milliseconds: it does nothing else but answer. */
const ANSWER_MS = 5000;

/** A connection to a supervisor. Several questions may be under way; `close` ends it. */
export class SupervisorClient {
  readonly #fd: number;
  readonly #watcher: Watcher;
  readonly #waiting: { readonly type: number; readonly answer: Promised<Answer> }[] = [];
  #closed: TareError | undefined;
  #version = 0;

  /**
   * Connects to the socket `name` in the directory of descriptor `dirfd`, and agrees on a version.
   * @throws TareError `system-call` when nobody listens there, `protocol` when there is no common version or the other
   * side is no supervisor, `timeout` when it does not answer.
   */
  static async connect(dirfd: number, name: string): Promise<SupervisorClient> {
    const client = new SupervisorClient(native.connectAt(dirfd, name));
    try {
      const { error, version } = await client.#ask(SUP_HELLO, 0);
      if (error !== 0 || version < SUPERVISOR_MIN || version > SUPERVISOR_MAX) {
        throw new TareError('protocol', 'the supervisor was started by a version of Tare that this one cannot talk to');
      }
      client.#version = version;
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  private constructor(fd: number) {
    this.#fd = fd;
    this.#watcher = native.watch(fd, 1, () => this.#read());
  }

  /** The version that both sides agreed on. */
  get version(): number {
    return this.#version;
  }

  /** Sends a signal to the container's first process. */
  async signal(signal: number): Promise<void> {
    const { error } = await this.#ask(SUP_SIGNAL, signal);
    if (error === 0) return;
    const syscall = { name: 'pidfd_send_signal', args: signalName(signal), errno: errnoName(error) };
    throw new TareError('system-call', `pidfd_send_signal(${syscall.args}): ${syscall.errno}`, { syscall });
  }

  /** Of the container's first process. @throws TareError `protocol`, `timeout` */
  async status(): Promise<SupervisorStatus> {
    return (await this.#succeed(SUP_STATUS)).status;
  }

  /** The container's standard streams: descriptors 0, 1, 2 as it has them. The caller closes them. */
  async stdio(): Promise<[number, number, number]> {
    const { fds } = await this.#succeed(SUP_STDIO, 3);
    return fds as [number, number, number];
  }

  /** Ends the connection; questions without an answer are rejected. Calling it again does nothing. */
  close(): void {
    this.#end(new TareError('state', 'the connection to the supervisor is closed'));
  }

  async #succeed(type: number, fds = 0): Promise<Answer> {
    const answer = await this.#ask(type, 0);
    if (answer.error === 0 && answer.fds.length === fds) return answer;
    for (const fd of answer.fds) native.close(fd);
    throw new TareError(
      'protocol',
      `the supervisor answered with ${answer.error ? errnoName(answer.error) : 'other descriptors than asked for'}`,
    );
  }

  async #ask(type: number, value: number): Promise<Answer> {
    if (this.#closed) throw this.#closed;
    const request = Buffer.alloc(SUP_REQUEST.size);
    request.writeUInt32LE(type, SUP_REQUEST.type);
    request.writeUInt32LE(type === SUP_HELLO ? SUPERVISOR_MIN : 0, SUP_REQUEST.min);
    request.writeUInt32LE(type === SUP_HELLO ? SUPERVISOR_MAX : 0, SUP_REQUEST.max);
    request.writeInt32LE(value, SUP_REQUEST.value);
    native.sendmsg(this.#fd, request);
    const answer = new Promised<Answer>();
    this.#waiting.push({ type, answer });
    const late = setTimeout(() => this.#end(new TareError('timeout', 'the supervisor does not answer')), ANSWER_MS);
    try {
      return await answer.promise;
    } finally {
      clearTimeout(late);
    }
  }

  #read(): void {
    try {
      for (;;) {
        const message = this.#closed ? null : native.recvmsg(this.#fd, SUP_ANSWER.size, 3);
        if (!message) return;
        if (message.data.length === 0) throw new TareError('state', 'the supervisor has ended');
        this.#take(message.data, message.fds);
      }
    } catch (error) {
      this.#end(error instanceof TareError ? error : new TareError('internal', String(error), { cause: error }));
    }
  }

  #take(data: Buffer, fds: readonly number[]): void {
    const question = this.#waiting.shift();
    const asked = question && data.length === SUP_ANSWER.size && data.readUInt32LE(SUP_ANSWER.type) === question.type;
    if (!asked || (fds.length > 0 && question.type !== SUP_STDIO)) {
      for (const fd of fds) native.close(fd);
      question?.answer.reject(new TareError('protocol', 'the supervisor answered what was not asked'));
      throw new TareError('protocol', 'the supervisor answered what was not asked');
    }
    question.answer.resolve({
      error: data.readInt32LE(SUP_ANSWER.error),
      version: data.readUInt32LE(SUP_ANSWER.version),
      status: {
        running: data.readUInt32LE(SUP_ANSWER.running) === 1,
        pid: Number(data.readBigInt64LE(SUP_ANSWER.pid)),
        status: Number(data.readBigInt64LE(SUP_ANSWER.status)),
      },
      fds,
    });
  }

  #end(error: TareError): void {
    if (this.#closed) return;
    this.#closed = error;
    this.#watcher.close();
    native.close(this.#fd);
    for (const { answer } of this.#waiting.splice(0)) answer.reject(error);
  }
}
