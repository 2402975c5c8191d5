/**
 * What differs between two plans, as steps: a longest common subsequence over the steps of each lane, compared as text
 * with slots by name, so that a step put in at the top does not make all numbers below differ. Where a step keeps its
 * kind and its field but not its operands, it is changed; what neither has a partner for was added or removed.
 */
import { LANES, type Lane, type Plan, type Step } from './plan.js';
import { clean, formatStep } from './symbols.js';

/** What became of a step from the first plan to the second. */
export interface StepChange {
  readonly change: 'same' | 'added' | 'removed' | 'changed';
  /** In the first plan, with its index in the lane. */
  readonly before?: { readonly index: number; readonly step: Step };
  /** In the second plan. */
  readonly after?: { readonly index: number; readonly step: Step };
}

/** Two plans, step by step. */
export interface PlanDiff {
  /** Whether no lane has anything but `same`. */
  readonly same: boolean;
  /** For the lanes that either plan has, all steps of both in order. */
  readonly lanes: Readonly<Partial<Record<Lane, readonly StepChange[]>>>;
}

/** Compares what stage would do: fields and whys, which are words about it, count for nothing. */
export function diffPlans(a: Plan, b: Plan): PlanDiff {
  const lanes: Partial<Record<Lane, readonly StepChange[]>> = {};
  for (const lane of LANES) {
    if (a.lanes[lane] || b.lanes[lane]) lanes[lane] = diffLane(a.lanes[lane] ?? [], b.lanes[lane] ?? []);
  }
  const same = Object.values(lanes).every((changes) => changes.every(({ change }) => change === 'same'));
  return { same, lanes };
}

export interface PrintDiffOptions {
  readonly color?: boolean;
  /** Unchanged steps shown around a change; 3 unless told. */
  readonly context?: number;
  /** The names of both sides. */
  readonly names?: readonly [string, string];
}

/** Like a unified diff, a section a lane: empty when nothing differs. */
export function printDiff(diff: PlanDiff, options: PrintDiffOptions = {}): string {
  if (diff.same) return '';
  const [from, to] = options.names ?? ['a', 'b'];
  const lines = [paint(options, '1', `--- ${clean(from)}`), paint(options, '1', `+++ ${clean(to)}`)];
  for (const lane of LANES) {
    for (const hunk of hunks(diff.lanes[lane] ?? [], options.context ?? 3)) {
      lines.push(paint(options, '36', header(lane, hunk)), ...hunk.flatMap((change) => changeLines(change, options)));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** More cells than this (some thousands of steps that all differ) are not compared: all is removed, and added. */
const MAX_CELLS = 1 << 24;

function diffLane(before: readonly Step[], after: readonly Step[]): StepChange[] {
  const a = before.map(key);
  const b = after.map(key);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const [rows, columns] = [a.length - start - end, b.length - start - end];
  const lengths =
    rows * columns > MAX_CELLS
      ? undefined
      : commonLengths(a.slice(start, start + rows), b.slice(start, start + columns));
  const changes: StepChange[] = [];
  const add = (i: number | undefined, j: number | undefined) =>
    changes.push({
      change: i === undefined ? 'added' : j === undefined ? 'removed' : 'same',
      ...(i !== undefined && { before: { index: i, step: before[i] as Step } }),
      ...(j !== undefined && { after: { index: j, step: after[j] as Step } }),
    });
  for (let i = 0; i < start; i++) add(i, i);
  let [i, j] = [0, 0];
  while (i < rows || j < columns) {
    const at = (r: number, c: number) => lengths?.[r * (columns + 1) + c] ?? 0;
    if (lengths && i < rows && j < columns && a[start + i] === b[start + j]) add(start + i++, start + j++);
    else if (i < rows && (j >= columns || at(i + 1, j) >= at(i, j + 1))) add(start + i++, undefined);
    else add(undefined, start + j++);
  }
  for (let k = end; k > 0; k--) add(a.length - k, b.length - k);
  return pairChanges(changes);
}

/** What makes two steps the same: everything that stage does for them. Field and why are words about it. */
function key(step: Step): string {
  return formatStep(step, { full: true }) + bytesKey(step);
}

/** Bytes are shown by their size where they are no text; here they count. */
function bytesKey(step: Step): string {
  const bytes = Object.values(step.inputs).filter((value): value is Uint8Array => value instanceof Uint8Array);
  return bytes.map((value) => Buffer.from(value).toString('base64')).join();
}

/** lengths[i][j]: of the longest common subsequence of a from i, b from j. */
function commonLengths(a: readonly string[], b: readonly string[]): Uint16Array {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const below = lengths[(i + 1) * width + j] as number;
      const right = lengths[i * width + j + 1] as number;
      lengths[i * width + j] =
        a[i] === b[j] ? (lengths[(i + 1) * width + j + 1] as number) + 1 : Math.max(below, right);
    }
  }
  return lengths;
}

/** In a run of removed and added steps, those of one kind for one field are one step that changed. */
function pairChanges(changes: readonly StepChange[]): StepChange[] {
  const paired: StepChange[] = [];
  for (let i = 0; i < changes.length; ) {
    let end = i;
    while (end < changes.length && changes[end]?.change !== 'same') end++;
    if (end === i) paired.push(changes[i++] as StepChange);
    else paired.push(...pairRun(changes.slice(i, end)));
    i = Math.max(i, end);
  }
  return paired;
}

function pairRun(run: readonly StepChange[]): StepChange[] {
  const removed = run.filter(({ change }) => change === 'removed');
  const added = run.filter(({ change }) => change === 'added');
  const result: StepChange[] = [];
  let next = 0;
  for (const one of removed) {
    const partner = added.findIndex(
      ({ after }, j) =>
        j >= next && after?.step.kind === one.before?.step.kind && after?.step.field === one.before?.step.field,
    );
    if (partner < 0) {
      result.push(one);
      continue;
    }
    result.push(...added.slice(next, partner), { change: 'changed', before: one.before, after: added[partner]?.after });
    next = partner + 1;
  }
  return [...result, ...added.slice(next)];
}

function hunks(changes: readonly StepChange[], context: number): StepChange[][] {
  const found: StepChange[][] = [];
  let end = -1;
  changes.forEach(({ change }, i) => {
    if (change === 'same') return;
    const start = Math.max(0, i - context);
    const stop = Math.min(changes.length, i + context + 1);
    if (start > end) found.push(changes.slice(start, stop));
    else found[found.length - 1]?.push(...changes.slice(end, stop));
    end = stop;
  });
  return found;
}

/** `@@ inside -12,7 +12,8 @@`: first step and number of steps, on both sides. */
function header(lane: Lane, hunk: readonly StepChange[]): string {
  const side = (pick: 'before' | 'after') => {
    const indices = hunk.flatMap((change) => (change[pick] ? [change[pick].index] : []));
    return `${(indices[0] ?? -1) + 1},${indices.length}`;
  };
  return `@@ ${lane} -${side('before')} +${side('after')} @@`;
}

function changeLines({ change, before, after }: StepChange, options: PrintDiffOptions): string[] {
  const line = (sign: string, color: string, step: Step) =>
    paint(options, color, `${sign}${formatStep(step)}    # ${clean(step.field)}: ${clean(step.why)}`);
  if (change === 'same') return after ? [line(' ', '2', after.step)] : [];
  return [...(before ? [line('-', '31', before.step)] : []), ...(after ? [line('+', '32', after.step)] : [])];
}

function paint(options: PrintDiffOptions, color: string, text: string): string {
  return options.color ? `\u001b[${color}m${text}\u001b[0m` : text;
}
