/**
 * All that is to be copied of a folder, in the order of its bytes: each folder is entered, its files are given, and it is left. What is ignored
 * is left out; an ignored folder is entered only when something in it is not ignored after all. Every step is by descriptor.
 */
import { TareError } from '../../../kernel/error.js';
import type { FileStatus } from '../../../kernel/native-files.js';
import type { IgnoreRules, Matched } from './ignore.js';
import { identityOf, isDirectory, namesIn, openFolder, openName, shown, statusOf } from './tree.js';

export interface WalkEvent {
  readonly kind: 'enter' | 'file' | 'leave';
  /** Relative to where the walk began. */
  readonly path: string;
  readonly name: string;
  readonly status: FileStatus;
  /** O_PATH for a file, open for reading for a folder; closed when the walk goes on. */
  readonly fd: number;
}

/** Rules, and what the paths they speak of begin with. */
export interface Filter {
  readonly rules: IgnoreRules;
  /** The folder where the walk begins, as the rules call it; empty for their root. */
  readonly base: string;
}

/** Deeper than any path that a program can name; each level holds a descriptor. */
const MAX_DEPTH = 2048;

/** @param folder open for reading; stays the caller's @param hidden folders that are left out, by `identityOf` */
export function* walk(
  folder: number,
  filters: readonly Filter[],
  hidden: ReadonlySet<string> = new Set(),
): Generator<WalkEvent, void, void> {
  const state = filters.map(({ rules, base }) => (base === '' ? undefined : rules.checkWhole(base).matched));
  yield* walkFolder({ folder, filters, hidden, path: '', state, pending: [], depth: 0 });
}

interface Level {
  readonly folder: number;
  readonly filters: readonly Filter[];
  readonly hidden: ReadonlySet<string>;
  readonly path: string;
  readonly state: readonly (Matched | undefined)[];
  /** Folders that are ignored, and not entered yet. */
  readonly pending: WalkEvent[];
  readonly depth: number;
}

function* walkFolder(level: Level): Generator<WalkEvent, void, void> {
  if (level.depth > MAX_DEPTH)
    throw new TareError('unsupported', `there are more than ${MAX_DEPTH} folders in each other`);
  for (const name of namesIn(level.folder)) {
    const path = level.path === '' ? name : `${level.path}/${name}`;
    const { ignored, mayHold, state } = judge(level, path);
    if (ignored && !mayHold) continue;
    using file = openName(level.folder, name);
    if (!file) continue;
    const status = statusOf(file.fd);
    if (isDirectory(status)) {
      if (level.hidden.has(identityOf(status))) continue;
      yield* walkInto(level, { path, name, status, ignored, state });
    } else if (!ignored) {
      yield* level.pending.splice(0);
      yield { kind: 'file', path, name, status, fd: file.fd };
    }
  }
}

interface Child {
  readonly path: string;
  readonly name: string;
  readonly status: FileStatus;
  readonly ignored: boolean;
  readonly state: readonly Matched[];
}

function* walkInto(level: Level, { path, name, status, ignored, state }: Child): Generator<WalkEvent, void, void> {
  using folder = openFolder(level.folder, name);
  const event = { path, name, status, fd: folder.fd };
  const pending = level.pending;
  pending.push({ kind: 'enter', ...event });
  if (!ignored) yield* pending.splice(0);
  yield* walkFolder({ ...level, folder: folder.fd, path, state, depth: level.depth + 1 });
  // Still waiting to be entered: nothing in it was to be seen.
  if (pending.at(-1)?.path === path) pending.pop();
  else yield { kind: 'leave', ...event };
}

function judge({ filters, state }: Level, path: string): { ignored: boolean; mayHold: boolean; state: Matched[] } {
  let [ignored, mayHold] = [false, true];
  const next = filters.map(({ rules, base }, index) => {
    const verdict = rules.check(shown(base === '' ? path : `${base}/${path}`), state[index]);
    if (verdict.ignored) {
      ignored = true;
      mayHold &&= rules.hasExceptions;
    }
    return verdict.matched;
  });
  return { ignored, mayHold, state: next };
}
