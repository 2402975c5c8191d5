/**
 * What the lab's page and its server say to each other. HTTP (GET /api/...) answers with the views below; one WebSocket a
 * page carries everything that lives: control messages as JSON text, terminal bytes as binary frames (4 bytes of terminal
 * id, big-endian, then the bytes). Both sides import these types; the server trusts none of it (server/validate.ts).
 */

export const PROTOCOL = 1;
/** The largest frame that either side sends, in bytes; the server closes a connection that exceeds it. */
export const MAX_FRAME = 64 * 1024;
/** Terminal bytes that may be under way to the page, unacknowledged, before the program in the machine is paused. */
export const WINDOW = 256 * 1024;
/** The page acknowledges at least this often, so that less than this can stay unacknowledged for good. */
export const ACKNOWLEDGE = 32 * 1024;

/** From the page. */
export type ClientMessage =
  /** Wants a machine for this chapter; an exercise of another chapter that still runs is ended. */
  | { type: 'chapter.open'; chapter: string }
  | { type: 'chapter.read'; chapter: string }
  /** A fresh machine, without an exercise. */
  | { type: 'machine.new' }
  /** Answered by `terminal.opened` or `failed`, with the same `request`. */
  | { type: 'terminal.open'; request: number; columns: number; rows: number }
  | { type: 'terminal.resize'; terminal: number; columns: number; rows: number }
  /** So many more bytes of this terminal were drawn. */
  | { type: 'terminal.ack'; terminal: number; bytes: number }
  | { type: 'terminal.close'; terminal: number }
  /** A fresh machine with the exercise's starting state; said again, it is the reset. */
  | { type: 'exercise.start'; exercise: string }
  | { type: 'exercise.check' }
  | { type: 'exercise.solution' }
  | { type: 'exercise.solve'; columns: number; rows: number };

/** From the server. */
export type ServerMessage =
  /** First on every connection: what of the session is still there after a reload. The terminals' last output follows. */
  | {
      type: 'welcome';
      protocol: number;
      limits: LimitsView;
      machine: MachineView;
      terminals: readonly TerminalView[];
      attempt?: AttemptView;
      progress: ProgressView;
    }
  | { type: 'machine'; machine: MachineView }
  | { type: 'terminal.opened'; request?: number; terminal: TerminalView }
  /** The program ended: its exit status, 128+n for a signal, -1 when the machine went away. */
  | { type: 'terminal.exited'; terminal: number; status: number }
  | { type: 'attempt'; attempt?: AttemptView }
  | { type: 'solution'; exercise: string; text: string }
  /** The solution was typed to its end. */
  | { type: 'solved'; exercise: string }
  | { type: 'progress'; progress: ProgressView }
  /** Something asked for could not be done: one sentence. With the code `superseded` there is nothing to say. */
  | { type: 'failed'; request?: number; code: string; sentence: string };

/** Reasons for which the server closes the WebSocket; the sentence is in the close frame. */
export const CLOSE = {
  /** The session was opened in another tab. */
  replaced: 4001,
  /** A message that the protocol does not know. */
  malformed: 4002,
  /** The server ends. */
  goodbye: 4003,
} as const;

export interface LimitsView {
  readonly terminals: number;
  readonly idleMinutes: number;
}

export type MachineView =
  | { readonly state: 'none' }
  | { readonly state: 'starting'; readonly sentence: string }
  | {
      readonly state: 'ready';
      /** Differs for each machine of the session. */
      readonly generation: number;
      readonly accelerator: 'kvm' | 'tcg';
      readonly restored: boolean;
      /** How long it took to make. */
      readonly milliseconds: number;
    }
  | { readonly state: 'ended'; readonly reason: string; readonly sentence: string }
  | { readonly state: 'refused'; readonly code: string; readonly sentence: string };

export interface TerminalView {
  readonly id: number;
  readonly title: string;
}

export interface AttemptView {
  readonly exercise: string;
  readonly chapter: string;
  readonly state: 'preparing' | 'running' | 'done';
  /** Markdown, with the values drawn for this attempt. */
  readonly text: string;
  readonly tasks: readonly TaskView[];
  /** Markdown, once all tasks are done. */
  readonly explanation?: string;
}

/** As TaskState of runtime/exercise/types.ts, and what the task asks, with this attempt's values. */
export interface TaskView {
  readonly id: string;
  readonly prompt: string;
  readonly state: 'waiting' | 'open' | 'done' | 'blocked';
  readonly verdict?: VerdictView;
  readonly hint?: string;
}

export type VerdictView =
  | { readonly ok: true; readonly says?: string }
  | {
      readonly ok: false;
      readonly fault: string;
      readonly says: string;
      readonly where: string;
      readonly expected: string;
    };

/** What the learner has done; times are ISO 8601. */
export interface ProgressView {
  readonly exercises: Readonly<Record<string, { readonly tasks: readonly string[]; readonly done?: string }>>;
  readonly chapters: Readonly<Record<string, { readonly opened: string; readonly read?: string }>>;
}

/** GET /api/chapters */
export interface ChapterListView {
  readonly chapters: readonly ChapterSummaryView[];
  readonly progress: ProgressView;
  /** Something that the learner should know: a broken progress file, say. */
  readonly notice?: string;
}

export interface ChapterSummaryView {
  readonly id: string;
  readonly number: number;
  readonly title: string;
  readonly summary: string;
  /** Of reading; 0 for a planned one. */
  readonly minutes: number;
  /** A planned chapter is shown in the list and cannot be opened. */
  readonly status: 'written' | 'planned';
  readonly systems: readonly string[];
  readonly exercises: readonly { readonly id: string; readonly title: string; readonly tasks: number }[];
}

/** GET /api/chapters/ID */
export interface ChapterView extends Omit<ChapterSummaryView, 'exercises'> {
  /** The lesson, its listings filled in. */
  readonly markdown: string;
  readonly exercises: readonly ExerciseView[];
  readonly progress: ProgressView;
  /** Only written ones. */
  readonly previous?: { readonly id: string; readonly number: number; readonly title: string };
  readonly next?: { readonly id: string; readonly number: number; readonly title: string };
}

export interface ExerciseView {
  readonly id: string;
  readonly title: string;
  readonly minutes: number;
  readonly difficulty: 'easy' | 'medium' | 'hard';
  readonly concepts: readonly string[];
  readonly systems: readonly string[];
  readonly terminals: number;
  /** Markdown, the values of its vars still as `{{name}}`. */
  readonly text: string;
  readonly tasks: readonly { readonly id: string; readonly prompt: string; readonly needs: readonly string[] }[];
}
