/**
 * How far transfers are, for whoever waits. On a terminal: a line for each thing that is under way, redrawn some times a second, and above
 * them for good a line for each that has ended. Elsewhere: a line whenever something begins another action. console_codes(4)
 */
import { isatty } from 'node:tty';
import type { OnProgress, Progress } from '../image/types.js';
import { native } from '../kernel/addon.js';
import { printable, printNow } from './print.js';

/** Where it is shown; process.stderr is one, but makes a pipe non-blocking for all who share it: see `standardError`. */
export interface ProgressOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  /** Of the terminal, in characters; asked at each frame, for it may be resized. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export interface TransferProgress {
  readonly report: OnProgress;
  /** Shows what is left to say, and leaves the cursor at the start of a line. Again does nothing. */
  close(): void;
}

/** Descriptor 2, written to at once. */
export const standardError: ProgressOutput = {
  write: (text) => printNow(2, text),
  // A dumb terminal knows no way up. terminfo(5)
  get isTTY() {
    return isatty(2) && process.env.TERM !== 'dumb';
  },
  get columns() {
    return isatty(2) ? native.getWindowSize(2).columns : undefined;
  },
  get rows() {
    return isatty(2) ? native.getWindowSize(2).rows : undefined;
  },
};

export function makeTransferProgress(out: ProgressOutput = standardError): TransferProgress {
  return out.isTTY ? onTerminal(out) : inLines(out);
}

/** Between two frames, in milliseconds. */
const FRAME_MS = 100;
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

function onTerminal(out: ProgressOutput): TransferProgress {
  const live = new Map<string, Progress>();
  const ended: string[] = [];
  let drawn = 0;
  let timer: NodeJS.Timeout | undefined;
  const draw = () => {
    timer = undefined;
    const width = (out.columns || DEFAULT_COLUMNS) - 1;
    const room = Math.max((out.rows || DEFAULT_ROWS) - 2, 1);
    const lines = [...live.values()].map((progress) => line(progress, width));
    const shown = lines.length <= room ? lines : [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`];
    // Up over the last frame, and everything below the cursor goes. Without wrapping, a line is one line however wide its letters are.
    const up = drawn > 0 ? `\x1b[${drawn}A` : '';
    const text = [...ended.splice(0), ...shown].map((one) => `${cut(one, width)}\n`).join('');
    out.write(`\x1b[?7l${up}\r\x1b[J${text}\x1b[?7h`);
    drawn = shown.length;
  };
  return {
    report: (progress) => {
      if (hasEnded(progress)) {
        live.delete(progress.id);
        ended.push(sentence(progress));
      } else {
        live.set(progress.id, progress);
      }
      timer ??= setTimeout(draw, FRAME_MS).unref();
    },
    close: () => {
      clearTimeout(timer);
      if (timer === undefined && live.size === 0) return;
      // What has not ended was given up: the error says why, and a bar that stands still would say nothing.
      for (const progress of live.values()) ended.push(sentence(progress));
      live.clear();
      draw();
      drawn = 0;
    },
  };
}

function inLines(out: ProgressOutput): TransferProgress {
  const last = new Map<string, string>();
  return {
    report: (progress) => {
      const { id, action, detail } = progress;
      const what = `${action} ${detail ?? ''}`;
      if (action === 'waiting' || last.get(id) === what) return;
      if (hasEnded(progress)) last.delete(id);
      else last.set(id, what);
      out.write(`${sentence(progress)}\n`);
    },
    close: () => last.clear(),
  };
}

function hasEnded({ action }: Progress): boolean {
  return action === 'done' || action === 'exists' || action === 'mounted';
}

/** `1a2b3c4d5e6f: downloading 12.3 MB` */
function sentence({ id, action, detail, total }: Progress): string {
  const size = total === undefined ? '' : ` ${formatBytes(total)}`;
  const what = detail === undefined ? WORDS[action] : action === 'done' ? detail : `${WORDS[action]}: ${detail}`;
  return printable(`${id}: ${what}${size}`);
}

const WORDS: Readonly<Record<Progress['action'], string>> = {
  waiting: 'waiting',
  downloading: 'downloading',
  resuming: 'resuming the download',
  verifying: 'verifying',
  unpacking: 'unpacking',
  uploading: 'uploading',
  mounted: 'mounted from another repository',
  exists: 'there already',
  retrying: 'trying again',
  done: 'done',
};

/** Narrower bars say nothing. */
const MIN_BAR = 10;
const MAX_BAR = 40;

/** `1a2b3c4d5e6f: downloading [=====>     ]  12.3 MB of 45.6 MB` */
function line(progress: Progress, width: number): string {
  const { id, action, current, total, detail } = progress;
  if (current === undefined || total === undefined || total === 0 || detail !== undefined) return sentence(progress);
  const before = printable(`${id}: ${WORDS[action]} `);
  const after = ` ${formatBytes(current).padStart(8)} of ${formatBytes(total)}`;
  const bar = Math.min(width - before.length - after.length - 2, MAX_BAR);
  return bar < MIN_BAR ? `${before}${after.trim()}` : `${before}[${drawBar(current / total, bar)}]${after}`;
}

function drawBar(part: number, width: number): string {
  const full = Math.floor(Math.min(Math.max(part, 0), 1) * width);
  return full >= width ? '='.repeat(width) : `${'='.repeat(full)}>`.padEnd(width);
}

function cut(text: string, width: number): string {
  const letters = [...text];
  return letters.length <= width ? text : `${letters.slice(0, Math.max(width - 1, 0)).join('')}…`;
}

/** `12.3 MB`: decimal units, as Docker and disks have them. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`;
}
