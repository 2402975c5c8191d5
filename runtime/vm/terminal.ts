/**
 * A terminal in a machine: a program on a pty of its own, seen through a channel. What is typed waits for the machine's credit;
 * past a bound (a program that never reads, a flood from a browser) the terminal hangs up rather than use the host's memory.
 */

import { requestError } from './agent-errors.js';
import { environment } from './environment.js';
import type { AgentLink, Channel } from './link.js';
import type { Terminal, TerminalOptions } from './machine.js';

const MAX_QUEUED = 4 << 20;
const MAX_SIZE = 1000;

/** Starts the program; settles once it runs. Throws `command-not-found` and the like. */
export async function openTerminal(link: AgentLink, options: TerminalOptions, onOutput: () => void): Promise<Terminal> {
  const argv = options.argv ?? [];
  const terminal = new AgentTerminal();
  const strings = [
    options.cwd ?? '',
    ...argv,
    ...environment({ TERM: 'xterm-256color', COLORTERM: 'truecolor', ...options.env }),
  ];
  const pid = await new Promise<number>((resolve, reject) => {
    link
      .open(
        { kind: 'pty', a: bounded(options.columns), b: bounded(options.rows), c: argv.length, strings },
        {
          started: resolve,
          data: (_, data) => {
            terminal.deliver(data);
            onOutput();
          },
          end: (status, errno, gone) => {
            if (gone || errno) reject(gone ?? requestError(errno, 'execve', argv[0] ?? '/bin/bash'));
            terminal.settle(gone ? -1 : status);
          },
        },
      )
      .then((channel) => terminal.use(channel), reject);
  });
  terminal.pid = pid;
  return terminal;
}

class AgentTerminal implements Terminal {
  pid = 0;
  readonly exited: Promise<number>;
  private channel: Channel | undefined;
  private readonly listeners = new Set<(data: Buffer) => void>();
  /** Output that came before the first listener did. */
  private early: Buffer[] = [];
  private settleExited!: (status: number) => void;

  constructor() {
    this.exited = new Promise((resolve) => {
      this.settleExited = resolve;
    });
  }

  use(channel: Channel): void {
    this.channel = channel;
  }

  deliver(data: Buffer): void {
    if (this.listeners.size === 0) this.early.push(Buffer.from(data));
    for (const listener of this.listeners) listener(data);
    // Nobody listens yet: the window bounds what is kept.
    if (this.listeners.size === 0) this.channel?.pause();
  }

  settle(status: number): void {
    this.settleExited(status);
  }

  onData(listener: (data: Buffer) => void): () => void {
    this.listeners.add(listener);
    for (const data of this.early.splice(0)) listener(data);
    this.channel?.resume();
    return () => this.listeners.delete(listener);
  }

  write(data: Uint8Array | string): void {
    if (!this.channel) return;
    this.channel.write(typeof data === 'string' ? Buffer.from(data) : data);
    if (this.channel.queued > MAX_QUEUED) this.close();
  }

  resize(columns: number, rows: number): void {
    this.channel?.resize(bounded(columns), bounded(rows));
  }

  pause(): void {
    this.channel?.pause();
  }

  resume(): void {
    this.channel?.resume();
  }

  close(): void {
    this.channel?.close();
  }
}

function bounded(size: number): number {
  return Math.min(MAX_SIZE, Math.max(1, Math.floor(size) || 1));
}
