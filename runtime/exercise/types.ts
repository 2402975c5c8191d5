/**
 * What an exercise is (a folder of exercises/, see CURRICULUM in CONTRIBUTING.md), and what checking one yields. The lab
 * and `tare exercise` show these; `load.ts` reads and validates the folder, `attempt.ts` runs one in a machine.
 */
import type { ProcSource } from '../inspect/proc-source.js';
import type { Machine, Terminal } from '../vm/machine.js';

export interface Exercise {
  readonly id: string; // `own-root`: the folder's name
  readonly title: string;
  readonly chapter: number;
  readonly minutes: number;
  readonly difficulty: 'easy' | 'medium' | 'hard';
  readonly concepts: readonly string[];
  readonly prerequisites: readonly string[];
  readonly systems: readonly string[];
  readonly env: { readonly terminals: number; readonly features: readonly string[]; readonly kernelMin: string };
  /** Values drawn for each attempt, so that answers cannot be copied: name to the choices. */
  readonly vars: Readonly<Record<string, readonly string[]>>;
  readonly tasks: readonly Task[];
  /** Markdown, shown before the tasks; `{{name}}` is replaced by the value of a var. */
  readonly text: string;
  /** Markdown, shown once all tasks are done. */
  readonly explanation: string;
  readonly folder: string; // absolute
}

export interface Task {
  readonly id: string;
  readonly prompt: string;
  /** `level`: must hold at the end. `edge`: stays done once seen. */
  readonly mode: 'edge' | 'level';
  readonly needs: readonly string[]; // ids of tasks that come first
  readonly hints: readonly { readonly when: string; readonly text: string }[];
}

/** What check.ts exports by default: a function for each task id. */
export type Checks = Readonly<Record<string, Check>>;
export type Check = (probe: Probe) => Promise<Verdict>;

/** What a check may use: typed probes of kernel state (see probes.ts), never a command's printed output. */
export interface Probe {
  readonly proc: ProcSource;
  readonly vars: Readonly<Record<string, string>>;
  /** Facts that a check wants to find again at its next run (the namespace inodes at the start, say). Emptied by a reset. */
  readonly memory: Map<string, unknown>;
  /**
   * What a file says to a reader inside one namespace of the process. For the few facts that /proc/PID does not show, such
   * as its host name (/proc/sys/kernel/hostname). Starts a process in the machine, so ask /proc first. Undefined when it cannot be read.
   */
  readInside(pid: number, namespace: 'uts' | 'ipc' | 'net', path: string): Promise<string | undefined>;
}

export type Verdict =
  | { readonly ok: true; readonly says?: string }
  | {
      readonly ok: false;
      /** Names the fault; a hint's `when` and a mutant's first line refer to it. */
      readonly fault: string;
      /** What the kernel shows, where it shows it, and what was expected: each one short line. */
      readonly says: string;
      readonly where: string;
      readonly expected: string;
    };

export interface TaskState {
  readonly id: string;
  readonly state: 'waiting' | 'open' | 'done' | 'blocked';
  /** The latest verdict, where one was made. */
  readonly verdict?: Verdict;
  /** The hint that fits this fault. */
  readonly hint?: string;
}

/** One learner at one exercise in one machine. */
export interface Attempt {
  readonly exercise: Exercise;
  readonly machine: Machine;
  readonly vars: Readonly<Record<string, string>>;
  /** The exercise's text with its vars filled in. */
  readonly text: string;
  /** Runs the checks now. */
  check(): Promise<readonly TaskState[]>;
  /** Calls back when a task's state changes; checks run by the machine's activity, and at least every 500 ms. Returns the undo. */
  watch(listener: (tasks: readonly TaskState[]) => void): () => void;
  /** The solution's text, to show. */
  solution(): Promise<string>;
  /** Types the solution into a terminal: the one given, or one of its own that stays open until the attempt is closed. */
  solve(terminal?: Terminal): Promise<void>;
  close(): void;
}
