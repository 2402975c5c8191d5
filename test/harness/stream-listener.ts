/** A Unix stream socket at which a test listens, for one message with descriptors: what agents and managers do. unix(7). */
import { createServer, type Socket } from 'node:net';
import { native } from '../../runtime/kernel/addon.js';

export interface StreamListener {
  readonly path: string;
  /** The first message of the next to connect, and its descriptors, which the caller closes. */
  next(): Promise<{ readonly data: Buffer; readonly fds: readonly number[] }>;
  close(): Promise<void>;
}

export async function listenStream(path: string): Promise<StreamListener> {
  const waiting: Socket[] = [];
  let arrived = () => {};
  // Node must not read: it would drop the descriptors.
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    waiting.push(socket);
    arrived();
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  return {
    path,
    next: async () => {
      while (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
      }
      const socket = waiting.shift() as Socket;
      try {
        return await firstMessage(socket);
      } finally {
        socket.destroy();
      }
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of waiting) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

async function firstMessage(socket: Socket): Promise<{ data: Buffer; fds: number[] }> {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const copy = native.dup(fd);
  try {
    for (;;) {
      const message = native.recvmsg(copy, 65536, 8);
      if (message) return message;
      await new Promise<void>((resolve) => {
        const watcher = native.watch(copy, 1, () => {
          watcher.close();
          resolve();
        });
      });
    }
  } finally {
    native.close(copy);
  }
}
