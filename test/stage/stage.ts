/**
 * Runs stage on the bytes of a plan and speaks protocol.h with it: its reports as they come, replies, and its end. Every
 * descriptor is closed, and stage killed if it still runs, when the run is disposed of.
 */
import { chmodSync, closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../runtime/kernel/addon.js';
import type { Watcher } from '../../runtime/kernel/native.js';
import { packageRoot } from '../../runtime/kernel/places.js';

/** The program as it is shipped, and the same sources under AddressSanitizer and UBSan. */
export const BUILDS = ['stage', 'asan/stage'] as const;
export type Build = (typeof BUILDS)[number];

export const REPORTS = [
  '',
  'hello',
  'refused',
  'before',
  'done',
  'failed',
  'call',
  'give',
  'cloned',
  'supervising',
  'exited',
] as const;
export const REPLY = { go: 1, answer: 2, abort: 3, signal: 4 } as const;

export interface Report {
  readonly lane: number;
  readonly type: (typeof REPORTS)[number];
  readonly step: number;
  readonly error: number;
  readonly value: number;
  readonly ns: number;
  readonly name: string;
  readonly fds: readonly number[];
}

export interface StageOptions {
  readonly build?: Build;
  readonly mode?: '--step' | '--trace';
  readonly lanes?: number;
  readonly given?: readonly number[];
  /** Started with descriptor 4 being this instead of a sealed memfd of the plan. */
  readonly planFd?: number;
  readonly stdin?: number;
  /** Run as this user and group, without capabilities. */
  readonly uid?: number;
}

export class Stage {
  readonly reports: Report[] = [];
  readonly pid: number;
  readonly #pidfd: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'tare-stage-'));
  readonly #sockets: number[] = [];
  readonly #watchers: Watcher[] = [];
  #changed: (() => void)[] = [];
  #status: number | null = null;

  constructor(plan: Uint8Array, options: StageOptions = {}) {
    const path = join(packageRoot(), 'dist/native', options.build ?? 'stage');
    const exe = openSync(options.uid === undefined ? path : '/usr/bin/setpriv', 'r');
    const output = openSync(join(this.#folder, 'output'), 'w');
    const planFd = options.planFd ?? native.sealedMemfd('plan', plan);
    const pairs = Array.from({ length: options.lanes ?? 1 }, () => native.socketpair());
    const [first, ...others] = pairs.map((pair) => pair[1]) as [number, ...number[]];
    const stdin = options.stdin ?? openSync('/dev/null', 'r');
    const fds = [stdin, output, output, first, planFd, ...others, ...(options.given ?? [])];
    const argv = [...this.#prefix(path, options.uid), 'run', ...(options.mode ? [options.mode] : [])];
    const { pid, pidfd } = native.spawn(exe, argv, [], fds);
    this.pid = pid;
    this.#pidfd = pidfd;
    for (const fd of [exe, output, planFd, first, ...others, ...(options.stdin === undefined ? [stdin] : [])])
      closeSync(fd);
    pairs.forEach((pair, lane) => {
      this.#listen(lane, pair[0]);
    });
    this.#watchers.push(
      native.watch(pidfd, 1, () => {
        this.#status ??= native.waitPidfd(pidfd);
        if (this.#status !== null) this.#notify();
      }),
    );
  }

  /** What stage and its container wrote to 1 and 2. */
  get output(): string {
    return readFileSync(join(this.#folder, 'output'), 'utf8');
  }

  /** The first report of this type (on this lane), now or later. */
  async until(type: Report['type'], lane?: number): Promise<Report> {
    const wanted = () => this.reports.find((one) => one.type === type && (lane === undefined || one.lane === lane));
    await this.#once(() => wanted() !== undefined || this.#status !== null, type);
    const found = wanted();
    if (!found) throw new Error(`stage ended without the report "${type}": ${this.#describe()}`);
    return found;
  }

  /** The exit code, or 128 and the signal. */
  async ended(): Promise<number> {
    await this.#once(() => this.#status !== null, 'end');
    const status = this.#status ?? 0;
    // What it has said before it ended is still in the sockets.
    this.#sockets.forEach((_, lane) => {
      this.#read(lane);
    });
    if (/Sanitizer|runtime error/.test(this.output)) throw new Error(this.output);
    return status & 0x7f ? 128 + (status & 0x7f) : status >> 8;
  }

  async failure(): Promise<{ lane: number; step: number; error: number; name: string }> {
    await this.ended();
    const found = this.reports.filter((one) => one.type === 'failed');
    const root = found.find((one) => one.error !== constants.errno.ECANCELED) ?? found[0];
    if (!root) throw new Error(`nothing failed: ${this.#describe()}`);
    return { lane: root.lane, step: root.step, error: root.error, name: root.name };
  }

  reply(lane: number, type: number, more: { error?: number; value?: number; fds?: readonly number[] } = {}): void {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(type, 0);
    bytes.writeInt32LE(more.error ?? 0, 4);
    bytes.writeBigInt64LE(BigInt(more.value ?? 0), 8);
    native.sendmsg(this.#sockets[lane] as number, bytes, more.fds ?? []);
  }

  signal(number: number): void {
    native.pidfdSendSignal(this.#pidfd, number);
  }

  /** TypeScript leaves. */
  hangUp(): void {
    for (const watcher of this.#watchers.splice(0, this.#sockets.length)) watcher.close();
    for (const socket of this.#sockets.splice(0)) closeSync(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#status === null) {
      this.signal(9);
      await this.#once(() => this.#status !== null, 'end');
    }
    this.hangUp();
    for (const watcher of this.#watchers) watcher.close();
    for (const report of this.reports) for (const fd of report.fds) closeSync(fd);
    closeSync(this.#pidfd);
    rmSync(this.#folder, { recursive: true });
  }

  /** Another user may not come to where the program lies: it gets a copy. */
  #prefix(path: string, uid?: number): string[] {
    if (uid === undefined) return ['stage'];
    const copy = join(this.#folder, 'stage');
    copyFileSync(path, copy);
    chmodSync(copy, 0o755);
    chmodSync(this.#folder, 0o755);
    return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', copy];
  }

  #listen(lane: number, socket: number): void {
    this.#sockets[lane] = socket;
    const watcher = native.watch(socket, 1, () => {
      if (!this.#read(lane)) watcher.close();
      this.#notify();
    });
    this.#watchers.push(watcher);
  }

  /** False at the end. */
  #read(lane: number): boolean {
    for (;;) {
      const message = native.recvmsg(this.#sockets[lane] as number, 4096, 4);
      if (message === null) return true;
      const { data, fds } = message;
      if (data.length === 0) return false;
      this.reports.push({
        lane,
        type: REPORTS[data.readUInt32LE(0)] ?? '',
        step: data.readUInt32LE(4),
        error: data.readInt32LE(8),
        value: Number(data.readBigInt64LE(16)),
        ns: Number(data.readBigUInt64LE(24)),
        name: data.subarray(32, 32 + data.readUInt32LE(12)).toString(),
        fds,
      });
    }
  }

  #notify(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
  }

  async #once(condition: () => boolean, what: string): Promise<void> {
    const giveUp = setTimeout(() => this.#notify(), 20_000);
    const deadline = Date.now() + 20_000;
    while (!condition()) {
      if (Date.now() >= deadline) throw new Error(`no "${what}" from stage: ${this.#describe()}`);
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
    clearTimeout(giveUp);
  }

  #describe(): string {
    const said = this.reports.map((r) => `${r.lane}:${r.type}(${r.step}) ${r.error || ''} ${r.name}`.trim());
    return `[${said.join(', ')}] ${this.output}`;
  }
}

/** A process that is no more; also when nobody has waited for it yet: it is process 1's to reap. */
export function hasEnded(pid: number): boolean {
  return !existsSync(`/proc/${pid}`) || /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
