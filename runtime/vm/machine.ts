/**
 * A virtual machine as the rest of Tare sees it: it can be read like a ProcSource, runs commands, opens terminals, and
 * ends. What it says is hostile input: bounded and validated below this interface, so callers get either a value or a
 * TareError (`machine` when it is gone, `protocol` when it lied, `timeout`).
 */
import type { ProcSource } from '../inspect/proc-source.js';

export interface Machine extends ProcSource {
  readonly id: string;
  /** How instructions are run. KVM only after a probe guest has answered. */
  readonly accelerator: 'kvm' | 'tcg';
  /** True when it was restored from the saved snapshot, false when it booted cold. */
  readonly restored: boolean;
  /** Runs a command to its end. Output beyond `maxOutput` bytes (1 MiB unless told) ends it with an error. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  openTerminal(options: TerminalOptions): Promise<Terminal>;
  writeFile(path: string, data: Uint8Array | string, mode?: number): Promise<void>;
  /** Runs an encoded plan under the guest's own stage, with /dev/null as its streams unless told; the reports that stage made, decoded by the caller. */
  runPlan(plan: Uint8Array, options?: { trace?: boolean; timeoutMs?: number }): Promise<PlanRun>;
  /** Called, at most every 50 ms, when processes were started, changed or ended, or a terminal had output. Returns the undo. */
  onActivity(listener: () => void): () => void;
  /** Settles, never rejects, when the machine has ended, for whatever reason. */
  readonly ended: Promise<MachineEnd>;
  /** Ends QEMU and removes what belongs to the machine. Calling it again does nothing. */
  close(): Promise<void>;
}

export interface ExecOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: Uint8Array | string;
  readonly timeoutMs?: number;
  readonly maxOutput?: number;
}

export interface ExecResult {
  /** The exit status, or 128+n for a signal. */
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
  /** A login shell unless told. */
  readonly argv?: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Terminal {
  /** Pid of the program, in the machine. */
  readonly pid: number;
  onData(listener: (data: Buffer) => void): () => void;
  write(data: Uint8Array | string): void;
  resize(columns: number, rows: number): void;
  /** Back-pressure: while paused the program in the machine blocks once its window is used up. */
  pause(): void;
  resume(): void;
  /** The exit status, or 128+n; -1 when the machine went away. */
  readonly exited: Promise<number>;
  /** Hangs up: SIGHUP to the session. */
  close(): void;
}

export interface PlanRun {
  readonly status: number;
  /** Each report message, as native/stage/protocol.h lays it out, with its lane. */
  readonly reports: readonly { lane: number; data: Buffer }[];
}

export interface MachineEnd {
  readonly reason: 'closed' | 'died' | 'lied' | 'idle';
  /** One sentence for the person at the page. */
  readonly message: string;
}

/** Makes machines. One provider a process; it owns the image, the snapshot and the limits. */
export interface MachineProvider {
  /** A fresh machine; `busy` when a limit (number, memory) is reached. `onProgress` gets sentences for a display. */
  create(options?: { onProgress?: (sentence: string) => void; cold?: boolean }): Promise<Machine>;
  /** How many run, and how many may. */
  readonly usage: { readonly machines: number; readonly limit: number };
  close(): Promise<void>;
}
