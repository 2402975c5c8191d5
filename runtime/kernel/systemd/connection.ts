/**
 * A D-Bus connection to a systemd manager, by its private socket: no bus daemon stands between, so there are no names to ask for and
 * every signal comes by itself. It lets in root alone, and the user whose manager it is. systemd.directives(7), `/run/systemd/private`.
 */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { TareError } from '../error.js';
import { type DBusValue, marshal, unmarshal } from './marshal.js';

export interface Call {
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature: string;
  readonly body: readonly DBusValue[];
}

export interface Signal {
  readonly member: string;
  /** Read only by who wants to know: systemd tells of all that happens, in all types. */
  body(): DBusValue[];
}

/** A failed call: `org.freedesktop.systemd1.NoSuchUnit`. */
export class DBusFailure extends TareError {
  readonly errorName: string;

  constructor(call: Call, errorName: string, text: string) {
    super('system-call', `systemd: ${call.member}: ${text} (${errorName})`);
    this.errorName = errorName;
  }
}

/** message types and header fields, of the specification's tables */
const METHOD_CALL = 1;
const METHOD_RETURN = 2;
const ERROR = 3;
const SIGNAL = 4;
const FIELD = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, signature: 8 } as const;
/** The fixed part of a header: endianness, type, flags, version, length of the body, serial, length of the fields. */
const FIXED = 16;
const MAX_MESSAGE = 1 << 20;
const END_OF_LINE = '\r\n';

export class SystemdConnection implements Disposable {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { call: Call; resolve(body: DBusValue[]): void; reject(error: Error): void }>();
  #received = Buffer.alloc(0);
  #serial = 0;
  #lost: Error | undefined;
  /** Called for each signal. */
  onSignal: (signal: Signal) => void = () => {};
  /** Called when nothing will come any more. */
  onLost: (error: Error) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** @throws Node's own error when nobody listens there; TareError `permission` when we are not let in */
  static async connect(path: string): Promise<SystemdConnection> {
    const socket = createConnection(path);
    try {
      await once(socket, 'connect');
      const connection = new SystemdConnection(socket);
      await connection.#authenticate();
      socket.on('data', (bytes) => connection.#receive(bytes));
      const lost = () => connection.#fail(new TareError('protocol', 'systemd has closed the connection'));
      socket.on('close', lost).on('error', lost);
      return connection;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** @throws DBusFailure with systemd's own error */
  call(call: Call): Promise<DBusValue[]> {
    if (this.#lost) return Promise.reject(this.#lost);
    const serial = ++this.#serial;
    const body = marshal(call.signature, call.body);
    const field = (code: number, signature: string, value: string) => [code, { signature, value }];
    const fields = [
      field(FIELD.path, 'o', call.path),
      field(FIELD.interface, 's', call.interface),
      field(FIELD.member, 's', call.member),
      ...(call.signature === '' ? [] : [field(FIELD.signature, 'g', call.signature)]),
    ];
    const endian = 'l'.charCodeAt(0);
    const header = marshal('yyyyuua(yv)', [endian, METHOD_CALL, 0, 1, body.length, serial, fields]);
    this.#socket.write(Buffer.concat([header, Buffer.alloc(padding(header.length)), body]));
    return new Promise((resolve, reject) => this.#waiting.set(serial, { call, resolve, reject }));
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  /** SASL, "EXTERNAL": the kernel tells the other side who we are. */
  async #authenticate(): Promise<void> {
    const uid = Buffer.from(String(process.geteuid?.() ?? 0)).toString('hex');
    // All at once: systemd does not look again at a message that came along with the BEGIN until the next one comes.
    this.#socket.write(`\0AUTH EXTERNAL ${uid}\r\nBEGIN\r\n`);
    let said = Buffer.alloc(0);
    while (!said.includes(END_OF_LINE) && said.length <= MAX_MESSAGE) {
      const [bytes] = await Promise.race([once(this.#socket, 'data'), once(this.#socket, 'close').then(() => [null])]);
      if (bytes === null) break;
      said = Buffer.concat([said, bytes as Buffer]);
    }
    const end = said.indexOf(END_OF_LINE);
    const answer = said.toString('latin1', 0, end < 0 ? said.length : end).trim();
    if (end < 0 || !answer.startsWith('OK '))
      throw new TareError('permission', `systemd does not let this user in: ${JSON.stringify(answer)}`);
    // A manager that is busy tells of what it does as soon as it has let us in.
    this.#received = said.subarray(end + END_OF_LINE.length);
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    try {
      for (let size = this.#messageSize(); size <= this.#received.length; size = this.#messageSize()) {
        const message = this.#received.subarray(0, size);
        this.#received = this.#received.subarray(size);
        this.#handle(message);
      }
    } catch (error) {
      this.#fail(error as Error);
      this.#socket.destroy();
    }
  }

  #messageSize(): number {
    if (this.#received.length < FIXED) return Number.POSITIVE_INFINITY;
    if (this.#received[0] !== 'l'.charCodeAt(0)) throw new TareError('protocol', 'systemd speaks another byte order');
    const fields = this.#received.readUInt32LE(12);
    const size = FIXED + fields + padding(fields) + this.#received.readUInt32LE(4);
    if (size > MAX_MESSAGE) throw new TareError('protocol', `a message of ${size} bytes of systemd is too long`);
    return size;
  }

  #handle(message: Buffer): void {
    const [, type, , , length, , list] = unmarshal('yyyyuua(yv)', message);
    const fields = new Map((list as [number, { value: DBusValue }][]).map(([code, { value }]) => [code, value]));
    const text = (code: number) => String(fields.get(code) ?? '');
    const body = () => unmarshal(text(FIELD.signature), message.subarray(message.length - Number(length)));
    if (type === SIGNAL) this.onSignal({ member: text(FIELD.member), body });
    if (type !== METHOD_RETURN && type !== ERROR) return;
    const serial = Number(fields.get(FIELD.replySerial));
    const waiting = this.#waiting.get(serial);
    this.#waiting.delete(serial);
    if (type === METHOD_RETURN) waiting?.resolve(body());
    else waiting?.reject(new DBusFailure(waiting.call, text(FIELD.errorName), String(body()[0] ?? '')));
  }

  #fail(error: Error): void {
    this.#lost ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.onLost(error);
  }
}

/** To the next multiple of 8. */
function padding(size: number): number {
  return (8 - (size % 8)) % 8;
}
