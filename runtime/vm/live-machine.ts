/**
 * A running machine: QEMU and the conversation with its agent, as the Machine that the rest of Tare sees. Whatever ends it (closed
 * here, killed, powered off, caught lying), `ended` says so once, and nothing of it is left.
 */
import { randomBytes } from 'node:crypto';
import { TareError } from '../kernel/error.js';
import type { AgentLink } from './link.js';
import type { ExecOptions, Machine, MachineEnd, Terminal, TerminalOptions } from './machine.js';
import type { Accelerator, QemuProcess } from './qemu.js';
import * as requests from './requests.js';
import { openTerminal } from './terminal.js';

const ACTIVITY_MS = 50;
const WAKE_TIMEOUT_MS = 30_000;
/** Between the end of the agent's port and the end of QEMU. */
const LAST_CHANCE_MS = 2_000;

export interface MachineFacts {
  readonly id: string;
  readonly accelerator: Accelerator;
  readonly restored: boolean;
}

export class LiveMachine implements Machine {
  readonly id: string;
  readonly accelerator: Accelerator;
  readonly restored: boolean;
  readonly ended: Promise<MachineEnd>;

  private closing = false;
  private readonly listeners = new Set<() => void>();
  private told = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    facts: MachineFacts,
    private readonly qemu: QemuProcess,
    private readonly link: AgentLink,
    /** Removes what belongs to the machine outside of it, when it has ended. */
    private readonly cleanUp: () => Promise<void>,
  ) {
    this.id = facts.id;
    this.accelerator = facts.accelerator;
    this.restored = facts.restored;
    link.onActivity = () => this.active();
    this.ended = this.watchEnd();
  }

  /** Sets clock and random pool; until then the machine must not be used. */
  async wake(): Promise<void> {
    await within(WAKE_TIMEOUT_MS, 'the machine’s agent does not answer', this.link.wake(new Date(), randomBytes(64)));
  }

  exec(argv: readonly string[], options?: ExecOptions) {
    return requests.exec(this.link, argv, options);
  }

  openTerminal(options: TerminalOptions): Promise<Terminal> {
    return openTerminal(this.link, options, () => this.active());
  }

  readFile(path: string, maxBytes?: number) {
    return requests.readFile(this.link, path, maxBytes);
  }

  readlink(path: string) {
    return requests.readlink(this.link, path);
  }

  readdir(path: string) {
    return requests.readdir(this.link, path);
  }

  stat(path: string) {
    return requests.stat(this.link, path);
  }

  writeFile(path: string, data: Uint8Array | string, mode?: number) {
    return requests.writeFile(this.link, path, data, mode);
  }

  runPlan(plan: Uint8Array, options?: { trace?: boolean; timeoutMs?: number }) {
    return requests.runPlan(this.link, plan, options);
  }

  onActivity(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.closing = true;
    this.qemu.child.kill('SIGKILL');
    await this.ended;
  }

  /** At once after a quiet time, then at most every 50 ms. */
  private active(): void {
    if (this.timer || this.listeners.size === 0) return;
    const wait = Math.max(0, this.told + ACTIVITY_MS - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.told = performance.now();
      for (const listener of this.listeners) listener();
    }, wait);
  }

  private async watchEnd(): Promise<MachineEnd> {
    const { child } = this.qemu;
    const exited = new Promise<string>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve(describeExit(child.exitCode, child.signalCode));
      child.once('exit', (status, signal) => resolve(describeExit(status, signal)));
      child.once('error', (error) => resolve(`QEMU could not be started: ${error.message}`));
    });
    const first = await Promise.race([exited, this.link.ended]);
    // The link also ends because QEMU does: only a lie is a reason of its own, and QEMU may finish what it says.
    const lied = first instanceof TareError && first.code === 'protocol' ? first : undefined;
    const killer = setTimeout(() => child.kill('SIGKILL'), lied ? 0 : LAST_CHANCE_MS);
    const message = await exited;
    clearTimeout(killer);
    this.link.fail(new TareError('machine', 'the machine has ended'));
    clearTimeout(this.timer);
    this.listeners.clear();
    await this.cleanUp();
    if (this.closing) return { reason: 'closed', message: 'the machine was closed' };
    if (lied) return { reason: 'lied', message: `the machine was dropped: ${lied.message}` };
    return { reason: 'died', message };
  }
}

/** Rejects with `timeout` when the work takes longer. */
export async function within<T>(ms: number, sentence: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TareError('timeout', `${sentence} (waited ${ms / 1000} s)`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function describeExit(status: number | null, signal: string | null): string {
  if (signal) return `the machine ended: QEMU was killed by ${signal}`;
  return status === 0 ? 'the machine was powered off' : `the machine ended: QEMU exited with status ${status}`;
}
