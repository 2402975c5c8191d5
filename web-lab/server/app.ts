/**
 * The lab's server: Express for the page and its data, ws for the sessions. `createLab` listens and answers with the URL to
 * open; `close` ends every session, closes their machines, and leaves no socket. The provider belongs to the caller.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { TareError } from '../../runtime/kernel/error.js';
import { packageRoot } from '../../runtime/kernel/places.js';
import type { MachineProvider } from '../../runtime/vm/machine.js';
import { MAX_FRAME } from '../protocol.js';
import { Guard, type Refusal } from './guard.js';
import type { Library } from './library.js';
import { pages } from './pages.js';
import { Progress } from './progress.js';
import { Sessions } from './sessions.js';

export interface LabOptions {
  readonly provider: MachineProvider;
  readonly library: Library;
  readonly progressFile: string;
  /** Loopback unless told. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port?: number;
  /** Other names under which a browser may ask for the lab. */
  readonly names?: readonly string[];
  /** Random unless told. */
  readonly token?: string;
  /** The built client; dist/web-lab/client unless told. */
  readonly clientFolder?: string;
  readonly graceMs?: number;
  readonly idleMs?: number;
  readonly terminalsPerMachine?: number;
  readonly maxSessions?: number;
  readonly log?: (sentence: string) => void;
}

export interface Lab {
  /** With the token. */
  readonly url: string;
  readonly origin: string;
  readonly token: string;
  readonly sessions: Sessions;
  readonly progress: Progress;
  close(): Promise<void>;
}

export async function createLab(options: LabOptions): Promise<Lab> {
  const host = options.host ?? '127.0.0.1';
  const log = options.log ?? ((sentence) => console.error(sentence));
  const idleMs = options.idleMs ?? 30 * 60_000;
  const progress = await Progress.open(options.progressFile);
  const limits = { terminals: options.terminalsPerMachine ?? 8, idleMinutes: Math.ceil(idleMs / 60_000) };
  const context = { provider: options.provider, library: options.library, progress, limits, log };
  const sessions = new Sessions(context, { graceMs: options.graceMs ?? 60_000, idleMs });

  const server = createServer({ maxHeaderSize: 16 * 1024, requestTimeout: 30_000 });
  await listen(server, options.port ?? 0, host);
  const { port } = server.address() as AddressInfo;
  const shown = host.includes(':') ? `[${host}]` : host;
  const loopback = ['127.0.0.1', 'localhost', '::1'];
  // An address cannot be rebound as a name can, so where the lab listens on all of them, all of them are its own.
  const all = ['0.0.0.0', '::'].includes(host) ? ownAddresses() : [];
  const guard = new Guard([...loopback, host, ...all, ...(options.names ?? [])], port, options.token);

  const clientFolder = options.clientFolder ?? join(packageRoot(), 'dist/web-lab/client');
  server.on('request', pages({ guard, library: options.library, progress, clientFolder, log }));
  const sockets = acceptSockets(server, guard, sessions, options.maxSessions ?? 64);

  const address = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : shown;
  const origin = `http://${address}:${port}`;
  return {
    url: `${origin}/?token=${encodeURIComponent(guard.token)}`,
    origin,
    token: guard.token,
    sessions,
    progress,
    async close() {
      await sessions.close();
      await progress.flush();
      sockets.close();
      for (const socket of sockets.clients) socket.terminate();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** Guards the upgrade to a WebSocket: refusals are plain HTTP answers, given before anything of ws runs. */
function acceptSockets(server: Server, guard: Guard, sessions: Sessions, maxSessions: number): WebSocketServer {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME, perMessageDeflate: false });
  server.on('upgrade', (request, stream, head) => {
    stream.on('error', () => stream.destroy());
    const refusal = guard.checkOrigin(request, true) ?? guard.checkCookie(request);
    if (refusal) return refuse(stream, refusal);
    const id = sessionId(request);
    if (!id)
      return refuse(stream, {
        status: 400,
        sentence: 'A session is asked for as /api/session?id=, with 32 hexadecimal digits.',
      });
    if (!sessions.has(id) && sessions.size >= maxSessions) {
      return refuse(stream, { status: 503, sentence: `All ${maxSessions} sessions of this lab are in use.` });
    }
    sockets.handleUpgrade(request, stream, head, (socket) => sessions.connect(id, socket));
  });
  return sockets;
}

function sessionId(request: IncomingMessage): string | undefined {
  return /^\/api\/session\?id=([0-9a-f]{32})$/.exec(request.url ?? '')?.[1];
}

function refuse(stream: Duplex, { status, sentence }: { status: Refusal['status'] | 503; sentence: string }): void {
  const reason = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 503: 'Service Unavailable' }[status];
  const body = `${sentence}\n`;
  stream.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new TareError('busy', `Port ${port} of ${host} is in use by another program: choose another with --port.`, {
        cause: error,
      });
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new TareError('usage', `${host} is not an address of this machine.`, { cause: error });
    }
    if (code === 'EACCES')
      throw new TareError('permission', `Port ${port} may not be used by this user.`, { cause: error });
    throw error;
  }
}
