/**
 * The conversation with one agent: channels over one byte stream, with a window in each direction. A violation of the
 * protocol, or the stream's end, ends the link and with it every channel; nothing here throws at a caller for what a machine did.
 */
import type { Duplex } from 'node:stream';
import { TareError } from '../kernel/error.js';
import type { AgentFrame, OpenRequest } from './frames.js';
import { encodeFrame, encodeOpen, FRAME_VERSION, FRAME_WINDOW, FrameDecoder, FrameType, lie } from './frames.js';

/** The agent has a table of 128; the rest is for channels whose end is under way. */
const MAX_CHANNELS = 100;
const CHUNK = 16384;
/** More than all windows together: a machine that stopped reading, while somebody (a flood of resizes) goes on writing. */
const MAX_UNSENT = 32 << 20;

export interface ChannelHandlers {
  started?(pid: number): void;
  data?(stream: number, data: Buffer): void;
  /** The last call. `errno` is 0 when there was no error; `gone` when the machine went away. */
  end(status: number, errno: number, gone?: TareError): void;
}

export class AgentLink {
  /** Settles when the agent has said hello; rejects when the link ends before. */
  readonly hello: Promise<void>;
  /** Settles, never rejects: why the link ended. */
  readonly ended: Promise<TareError>;
  onActivity: () => void = () => undefined;

  private readonly decoder = new FrameDecoder();
  private readonly channels = new Map<number, Channel>();
  private readonly waiting: (() => void)[] = [];
  private nextId = 1;
  private failure: TareError | undefined;
  private saidHello!: () => void;
  private failHello!: (error: TareError) => void;
  private settleEnded!: (error: TareError) => void;
  private awake: (() => void) | undefined;

  constructor(private readonly stream: Duplex) {
    this.hello = new Promise((resolve, reject) => {
      this.saidHello = resolve;
      this.failHello = reject;
    });
    this.hello.catch(() => undefined); // whoever waits for it hears of it; nobody else need
    this.ended = new Promise((resolve) => {
      this.settleEnded = resolve;
    });
    stream.on('data', (chunk: Buffer) => this.receive(chunk));
    stream.on('error', (cause) =>
      this.fail(new TareError('machine', `the machine’s connection broke: ${cause.message}`, { cause })),
    );
    stream.on('close', () => this.fail(new TareError('machine', 'the machine has ended')));
  }

  /** Sets the machine's clock and reseeds its random pool; settles when that is done. */
  async wake(now: Date, seed: Buffer): Promise<void> {
    const payload = Buffer.alloc(16 + 64);
    payload.writeBigInt64LE(BigInt(Math.floor(now.getTime() / 1000)), 0);
    payload.writeUInt32LE((now.getTime() % 1000) * 1_000_000, 8);
    seed.copy(payload, 16, 0, 64);
    const answered = new Promise<void>((resolve) => {
      this.awake = resolve;
    });
    this.send(FrameType.wake, 0, 0, payload);
    await Promise.race([answered, this.ended.then((error) => Promise.reject(error))]);
  }

  /** Opens a channel, once there is a free one. */
  async open(request: OpenRequest, handlers: ChannelHandlers): Promise<Channel> {
    const payload = encodeOpen(request);
    while (this.channels.size >= MAX_CHANNELS && !this.failure)
      await new Promise<void>((wake) => this.waiting.push(wake));
    if (this.failure) throw this.failure;
    const channel = new Channel(this.nextId++, this, handlers);
    this.channels.set(channel.id, channel);
    this.send(FrameType.open, 0, channel.id, payload);
    return channel;
  }

  send(type: number, flags: number, channel: number, payload?: Uint8Array): void {
    if (this.failure) return;
    this.stream.write(encodeFrame(type, flags, channel, payload));
    if (this.stream.writableLength > MAX_UNSENT)
      this.fail(new TareError('machine', 'the machine no longer takes what it is sent'));
  }

  /** Ends the link: every channel ends, with this as the reason. */
  fail(error: TareError): void {
    if (this.failure) return;
    this.failure = error;
    this.stream.destroy();
    this.failHello(error);
    for (const channel of this.channels.values()) channel.ended(-1, 0, error);
    this.channels.clear();
    for (const wake of this.waiting.splice(0)) wake();
    this.settleEnded(error);
  }

  private receive(chunk: Buffer): void {
    if (this.failure) return;
    try {
      for (const frame of this.decoder.push(chunk)) this.take(frame);
    } catch (error) {
      this.fail(
        error instanceof TareError
          ? error
          : new TareError('internal', `while the agent was heard: ${error}`, { cause: error }),
      );
    }
  }

  private take(frame: AgentFrame): void {
    if (frame.type === 'hello') {
      if (frame.version !== FRAME_VERSION || frame.window !== FRAME_WINDOW)
        throw lie('hello of another version of the protocol');
      this.saidHello();
    } else if (frame.type === 'awake') {
      if (!this.awake) throw lie('an answer to what nobody asked');
      this.awake();
      this.awake = undefined;
    } else if (frame.type === 'activity') this.onActivity();
    else this.takeChannel(frame);
  }

  private takeChannel(frame: Exclude<AgentFrame, { type: 'hello' | 'awake' | 'activity' }>): void {
    const channel = this.channels.get(frame.channel);
    if (!channel) throw lie(`${frame.type} on channel ${frame.channel}, which is not open`);
    if (frame.type === 'started') channel.started(frame.pid);
    else if (frame.type === 'data') channel.received(frame.stream, frame.data);
    else if (frame.type === 'credit') channel.credited(frame.bytes);
    else {
      this.channels.delete(frame.channel);
      this.waiting.shift()?.();
      channel.ended(frame.status, frame.errno);
    }
  }
}

/** One channel, seen from the host. */
export class Channel {
  /** Bytes that wait for the agent's credit. */
  queued = 0;

  private sendWindow = FRAME_WINDOW;
  private receiveWindow = FRAME_WINDOW;
  private owed = 0;
  private paused = false;
  private closed = false;
  private wasStarted = false;
  private readonly outgoing: Buffer[] = [];
  private readonly held: { stream: number; data: Buffer }[] = [];
  private eof: 'none' | 'due' | 'sent' = 'none';

  constructor(
    readonly id: number,
    private readonly link: AgentLink,
    private readonly handlers: ChannelHandlers,
  ) {}

  write(data: Uint8Array): void {
    if (this.closed || this.eof !== 'none' || data.length === 0) return;
    this.outgoing.push(Buffer.from(data));
    this.queued += data.length;
    this.pump();
  }

  /** No more input. */
  end(): void {
    if (this.eof === 'none') this.eof = 'due';
    this.pump();
  }

  resize(columns: number, rows: number): void {
    const size = Buffer.alloc(4);
    size.writeUInt16LE(columns, 0);
    size.writeUInt16LE(rows, 2);
    if (!this.closed) this.link.send(FrameType.resize, 0, this.id, size);
  }

  /** No data is handed on, and no credit given, until `resume`. */
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    while (!this.paused && this.held.length > 0) {
      const { stream, data } = this.held.shift() as { stream: number; data: Buffer };
      this.deliver(stream, data);
    }
  }

  /** Hangs up. The handlers hear `end` when the agent has confirmed it, and no more data. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.outgoing.length = 0;
    this.held.length = 0;
    this.link.send(FrameType.close, 0, this.id);
  }

  started(pid: number): void {
    if (this.wasStarted) throw lie('two starts of one program');
    this.wasStarted = true;
    this.handlers.started?.(pid);
  }

  received(stream: number, data: Buffer): void {
    this.receiveWindow -= data.length;
    if (this.receiveWindow < 0) throw lie('more than its window');
    if (this.closed) return;
    if (this.paused) this.held.push({ stream, data: Buffer.from(data) });
    else this.deliver(stream, data);
  }

  credited(bytes: number): void {
    this.sendWindow += bytes;
    if (this.sendWindow > FRAME_WINDOW) throw lie('credit for more than a window');
    this.pump();
  }

  ended(status: number, errno: number, gone?: TareError): void {
    this.paused = false;
    while (this.held.length > 0 && !this.closed) {
      const { stream, data } = this.held.shift() as { stream: number; data: Buffer };
      this.handlers.data?.(stream, data);
    }
    this.closed = true;
    this.outgoing.length = 0;
    this.handlers.end(status, errno, gone);
  }

  private deliver(stream: number, data: Buffer): void {
    this.handlers.data?.(stream, data);
    this.owed += data.length;
    if (this.owed < FRAME_WINDOW / 4 || this.closed) return;
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(this.owed);
    this.link.send(FrameType.credit, 0, this.id, bytes);
    this.receiveWindow += this.owed;
    this.owed = 0;
  }

  private pump(): void {
    while (!this.closed && this.sendWindow > 0 && this.outgoing.length > 0) {
      const first = this.outgoing[0] as Buffer;
      const part = first.subarray(0, Math.min(CHUNK, this.sendWindow));
      if (part.length === first.length) this.outgoing.shift();
      else this.outgoing[0] = first.subarray(part.length);
      this.sendWindow -= part.length;
      this.queued -= part.length;
      this.link.send(FrameType.data, 0, this.id, part);
    }
    if (this.eof === 'due' && this.outgoing.length === 0 && !this.closed) {
      this.eof = 'sent';
      this.link.send(FrameType.eof, 0, this.id);
    }
  }
}
