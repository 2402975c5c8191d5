/** A lab on a free port with fakes behind it, and a visitor who talks to it as a browser would, or as an attacker might. */
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import type { ClientMessage, ServerMessage } from '../../web-lab/protocol.js';
import { createLab, type Lab, type LabOptions } from '../../web-lab/server/app.js';
import { library } from './fake-library.js';
import { FakeProvider } from './fake-machine.js';

export interface TestLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly provider: FakeProvider;
  readonly port: number;
  readonly cookie: string;
  readonly folder: string;
  readonly logged: string[];
}

export async function openLab(options: Partial<LabOptions> & { machines?: number } = {}): Promise<TestLab> {
  const folder = options.progressFile ? '' : await mkdtemp(join(tmpdir(), 'tare-lab-'));
  const provider = new FakeProvider(options.machines);
  const logged: string[] = [];
  const lab = await createLab({
    provider,
    library,
    progressFile: join(folder, 'lab', 'progress.json'),
    log: (sentence) => logged.push(sentence),
    ...options,
  });
  const port = Number(new URL(lab.origin).port);
  const { headers } = await ask(port, `/?token=${lab.token}`);
  const cookie = String(headers['set-cookie']?.[0]).split(';')[0] as string;
  return {
    lab,
    provider,
    port,
    cookie,
    folder,
    logged,
    async [Symbol.asyncDispose]() {
      await lab.close();
      await provider.close();
      if (folder) await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** One HTTP request with just these headers (Host can be set, which fetch forbids). */
export function ask(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

export const SESSION = '0123456789abcdef0123456789abcdef';

/** A page's end of the socket: what arrived, and waiting for something to arrive. */
export class Page {
  readonly messages: ServerMessage[] = [];
  readonly output = new Map<number, string>();
  closed: { code: number; reason: string } | undefined;
  #waiters = new Set<() => void>();

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data: Buffer, binary) => {
      if (binary) {
        const id = data.readUInt32BE(0);
        this.output.set(id, (this.output.get(id) ?? '') + data.subarray(4).toString('latin1'));
      } else this.messages.push(JSON.parse(data.toString('utf8')));
      this.#tell();
    });
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString('utf8') };
      this.#tell();
    });
    socket.on('error', () => this.#tell());
  }

  static async open({ port, cookie }: { port: number; cookie: string }, session = SESSION): Promise<Page> {
    const page = new Page(
      new WebSocket(`ws://127.0.0.1:${port}/api/session?id=${session}`, {
        headers: { cookie, origin: `http://127.0.0.1:${port}` },
      }),
    );
    await page.next('welcome');
    return page;
  }

  send(message: ClientMessage): void {
    this.socket.send(JSON.stringify(message));
  }

  input(terminal: number, text: string): void {
    const frame = Buffer.alloc(4 + text.length);
    frame.writeUInt32BE(terminal);
    frame.write(text, 4, 'latin1');
    this.socket.send(frame);
  }

  /** The first message of this type (that is so) which has arrived or arrives; it is taken out. */
  async next<Type extends ServerMessage['type']>(
    type: Type,
    so: (message: Extract<ServerMessage, { type: Type }>) => boolean = () => true,
  ): Promise<Extract<ServerMessage, { type: Type }>> {
    type Wanted = Extract<ServerMessage, { type: Type }>;
    const fits = (message: ServerMessage): message is Wanted => message.type === type && so(message as Wanted);
    await this.until(() => this.messages.some(fits), `a message ${type}`);
    const at = this.messages.findIndex(fits);
    return this.messages.splice(at, 1)[0] as Wanted;
  }

  async until(so: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!so()) {
      if (Date.now() > deadline) throw new Error(`${what} did not come; came: ${JSON.stringify(this.messages)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, 20);
        const waiters = this.#waiters;
        function done(): void {
          clearTimeout(timer);
          waiters.delete(done);
          resolve();
        }
        waiters.add(done);
      });
    }
  }

  /** A machine for the chapter, and a terminal in it; its id. */
  async settle(): Promise<number> {
    this.send({ type: 'chapter.open', chapter: '01-names' });
    await this.next('machine', ({ machine }) => machine.state === 'ready');
    return this.terminal();
  }

  async terminal(request = 1): Promise<number> {
    this.send({ type: 'terminal.open', request, columns: 80, rows: 24 });
    const { terminal } = await this.next('terminal.opened', (message) => message.request === request);
    return terminal.id;
  }

  async leave(): Promise<void> {
    this.socket.close();
    await this.until(() => this.closed !== undefined, 'the end of the connection');
  }

  #tell(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }
}
