/**
 * A Unix stream socket that waits for a runtime: for the master of a terminal (--console-socket) or the listener of a seccomp
 * filter (linux.seccomp.listenerPath). Descriptors arrive by SCM_RIGHTS, unix(7), which Node's own sockets drop: Node
 * accepts the connection, and the addon reads it.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { native } from '../../runtime/kernel/addon.js';
import { closeAll } from '../../runtime/kernel/fd.js';
import { until } from './until.js';

export interface Message {
  readonly data: string;
  readonly fds: readonly number[];
}

export class Receiver {
  readonly #sockets: Socket[] = [];
  readonly #fds: number[] = [];

  private constructor(
    readonly path: string,
    readonly server: Server,
  ) {
    server.on('connection', (socket) => this.#sockets.push(socket));
  }

  static async listen(path: string): Promise<Receiver> {
    const server = createServer({ pauseOnConnect: true });
    const receiver = new Receiver(path, server.listen(path));
    await once(server, 'listening');
    return receiver;
  }

  /** The first message of the first connection that has one. The descriptors are closed with this receiver. */
  async message(maxBytes = 65536): Promise<Message> {
    let found: Message | undefined;
    await until(() => {
      for (const socket of this.#sockets) {
        const got = native.recvmsg(descriptorOf(socket), maxBytes, 4);
        if (!got || got.data.length === 0) continue; // nothing yet, or its end
        this.#fds.push(...got.fds);
        found = { data: got.data.toString(), fds: got.fds };
        return true;
      }
      return false;
    }, `a message at ${this.path}`);
    return found as Message;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
    closeAll(this.#fds.splice(0));
  }

  /** Closes what was received, and goes on listening. */
  drop(): void {
    closeAll(this.#fds.splice(0));
  }
}

/** Node has no public name for it. Nothing reads the socket: it is paused. */
function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}
