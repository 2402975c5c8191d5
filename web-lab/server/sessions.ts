/**
 * The sessions of a server, and the sockets that belong to them. A socket is guarded when it is opened (gate), throttled
 * while it talks, pinged, and answered by closing it when it says what the protocol does not know. A session whose last page
 * is closed is ended after a grace period; a machine whose learner does nothing is taken back after the idle limit.
 */
import type { WebSocket } from 'ws';
import { CLOSE } from '../protocol.js';
import { Session, type SessionContext } from './session.js';
import type { Page } from './terminals.js';
import { Throttle } from './throttle.js';
import { readFrame, readMessage } from './validate.js';

export interface SessionTimes {
  /** Between the last page closed and the machine closed, in ms. */
  readonly graceMs: number;
  /** Without input until the machine is taken back, in ms. */
  readonly idleMs: number;
}

/** Of one page: a megabyte at once, then half a megabyte a second; a control message counts as 2 KiB. */
const BURST = 1 << 20;
const PER_SECOND = 1 << 19;
const MESSAGE_COST = 2048;
const PING_MS = 20_000;

export class Sessions {
  readonly #sessions = new Map<string, { session: Session; socket?: WebSocket; grace?: NodeJS.Timeout }>();
  readonly #clock: NodeJS.Timeout;
  readonly #undoProgress: () => void;
  #closing = false;

  constructor(
    private readonly context: SessionContext,
    private readonly times: SessionTimes,
  ) {
    this.#clock = setInterval(() => this.#retireIdle(), Math.min(30_000, Math.max(20, times.idleMs / 4))).unref();
    this.#undoProgress = context.progress.onChange(() => {
      for (const { session } of this.#sessions.values()) session.pushProgress();
    });
  }

  get size(): number {
    return this.#sessions.size;
  }

  has(id: string): boolean {
    return this.#sessions.has(id);
  }

  /** Joins a guarded socket to its session. The newest page of a session is the one that counts. */
  connect(id: string, socket: WebSocket): void {
    if (this.#closing) {
      socket.close(CLOSE.goodbye, 'The lab is closing.');
      return;
    }
    let entry = this.#sessions.get(id);
    if (!entry) {
      entry = { session: new Session(id, this.context) };
      this.#sessions.set(id, entry);
    }
    clearTimeout(entry.grace);
    entry.socket?.close(CLOSE.replaced, 'This page was opened in another tab.');
    entry.socket = socket;
    const { session } = entry;
    const page = pageOf(socket, () => session.drained());

    listen(socket, session);
    keepAlive(socket);
    socket.on('close', () => {
      session.detach(page);
      if (entry.socket !== socket) return;
      entry.socket = undefined;
      entry.grace = setTimeout(() => void this.#end(id), this.times.graceMs).unref();
    });
    session.attach(page);
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#clock);
    this.#undoProgress();
    for (const { socket } of this.#sessions.values()) socket?.close(CLOSE.goodbye, 'The lab was closed.');
    await Promise.all([...this.#sessions.keys()].map((id) => this.#end(id)));
  }

  async #end(id: string): Promise<void> {
    const entry = this.#sessions.get(id);
    if (!entry) return;
    this.#sessions.delete(id);
    clearTimeout(entry.grace);
    try {
      await entry.session.dispose();
    } catch (error) {
      this.context.log(`session ${id.slice(0, 8)} did not end cleanly: ${error}`);
    }
  }

  #retireIdle(): void {
    for (const { session } of this.#sessions.values()) {
      if (!session.hasMachine || Date.now() - session.lastInput < this.times.idleMs) continue;
      const minutes = Math.round(this.times.idleMs / 60_000);
      session
        .retire(`Nothing was typed for ${minutes} minutes, so the machine was given back.`)
        .catch((error) => this.context.log(`an idle machine did not close: ${error}`));
    }
  }
}

function pageOf(socket: WebSocket, drained: () => void): Page {
  return {
    post(message) {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
    },
    send(terminal, data) {
      if (socket.readyState !== socket.OPEN) return;
      const frame = Buffer.allocUnsafe(4 + data.length);
      frame.writeUInt32BE(terminal, 0);
      data.copy(frame, 4);
      socket.send(frame, drained);
    },
    get buffered() {
      return socket.bufferedAmount;
    },
  };
}

function listen(socket: WebSocket, session: Session): void {
  const throttle = new Throttle(BURST, PER_SECOND);
  let pause: NodeJS.Timeout | undefined;
  socket.on('message', (data, binary) => {
    // ws gives Buffers unless told otherwise.
    const bytes = data as Buffer;
    const wait = throttle.charge(bytes.length + MESSAGE_COST);
    if (wait > 0) {
      socket.pause();
      clearTimeout(pause);
      pause = setTimeout(() => socket.resume(), wait).unref();
    }
    if (binary) {
      const frame = readFrame(bytes);
      if ('fault' in frame) return socket.close(CLOSE.malformed, frame.fault);
      return session.input(frame.terminal, frame.data);
    }
    const read = readMessage(bytes.toString('utf8'));
    if ('fault' in read) return socket.close(CLOSE.malformed, reason(read.fault));
    void session.handle(read.message);
  });
  // A frame that is too large, or not UTF-8, or not masked: ws has closed the connection and says so here.
  socket.on('error', () => socket.terminate());
}

/** A close frame's reason may have 123 bytes (RFC 6455, 5.5); ws throws when it has more. The text may hold what the page said. */
function reason(text: string): string {
  return new TextDecoder().decode(Buffer.from(text).subarray(0, 123), { stream: true });
}

/** A page whose machine sleeps or whose network went away does not close its socket: what does not answer a ping is gone. */
function keepAlive(socket: WebSocket): void {
  let alive = true;
  socket.on('pong', () => {
    alive = true;
  });
  const timer = setInterval(() => {
    if (!alive) return socket.terminate();
    alive = false;
    socket.ping();
  }, PING_MS).unref();
  socket.on('close', () => clearInterval(timer));
}
