/**
 * QEMU's machine protocol (docs/interop/qmp-spec.txt): JSON lines over a socket that QEMU inherited. QEMU may be in a learner's
 * hands, so lines are bounded and answers are validated by those who ask.
 */
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { TareError } from '../kernel/error.js';

const MAX_LINE = 1 << 20;

const Message = z.object({
  QMP: z.unknown().optional(),
  return: z.unknown().optional(),
  error: z.object({ class: z.string(), desc: z.string() }).optional(),
  event: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});
type Message = z.infer<typeof Message>;

export class Qmp {
  private buffer = '';
  private failure: TareError | undefined;
  private readonly answers: {
    resolve: (value: unknown) => void;
    reject: (error: TareError) => void;
    command: string;
  }[] = [];
  private readonly watchers = new Set<(message: Message | undefined) => void>();

  constructor(private readonly stream: Duplex) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => this.receive(text));
    stream.on('error', (cause) => this.fail(`its control connection broke: ${cause.message}`));
    stream.on('close', () => this.fail('it has ended'));
  }

  /** Sends a command and waits for its answer. Commands are answered in order. */
  execute(command: string, args?: Record<string, unknown>): Promise<unknown> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.answers.push({ resolve, reject, command });
      this.stream.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }

  /** The next event that `wanted` accepts. */
  event(wanted: (name: string, data: Record<string, unknown>) => boolean): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const watcher = (message: Message | undefined) => {
        if (message && !(message.event && wanted(message.event, message.data ?? {}))) return;
        this.watchers.delete(watcher);
        if (message) resolve();
        else reject(this.failure);
      };
      this.watchers.add(watcher);
    });
  }

  private receive(text: string): void {
    this.buffer += text;
    for (let end = this.buffer.indexOf('\n'); end >= 0; end = this.buffer.indexOf('\n')) {
      const line = this.buffer.slice(0, end);
      this.buffer = this.buffer.slice(end + 1);
      this.take(line);
    }
    if (this.buffer.length > MAX_LINE) this.fail('it sent an endless line');
  }

  private take(line: string): void {
    const message = parseMessage(line);
    if (!message) this.fail('it sent what is not QMP');
    else if (message.event) for (const watcher of [...this.watchers]) watcher(message);
    else if (message.QMP === undefined) {
      const answer = this.answers.shift();
      if (message.error)
        answer?.reject(new TareError('machine', `QEMU refused ${answer.command}: ${message.error.desc}`));
      else answer?.resolve(message.return);
    }
  }

  private fail(what: string): void {
    if (this.failure) return;
    this.failure = new TareError('machine', `QEMU cannot be controlled: ${what}`);
    this.stream.destroy();
    for (const { reject } of this.answers.splice(0)) reject(this.failure);
    for (const watcher of [...this.watchers]) watcher(undefined);
  }
}

function parseMessage(line: string): Message | undefined {
  try {
    return Message.safeParse(JSON.parse(line)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
