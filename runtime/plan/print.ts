/**
 * A plan for people: one row a step, in columns: its number, the call as strace would show it, the config field that
 * caused it, why. Either lane after lane, or all lanes in the order in which they run, side by side, with the arrows of
 * clone, post and wait between them.
 */
import { executionOrder, type Ordered } from './order.js';
import { LANES, type Lane, type Plan, type Step } from './plan.js';
import { clean, conditionText, type SymbolOptions, stepText } from './symbols.js';

export interface PrintOptions extends SymbolOptions {
  /** Colours, by ANSI escapes. No unless told. */
  readonly color?: boolean;
  /** Columns of the terminal: longer rows are wrapped within their column. No limit unless told. */
  readonly width?: number;
  /** `lanes`: one lane after another (unless told). `order`: side by side, in the order in which they run. */
  readonly view?: 'lanes' | 'order';
}

/** The text, with a newline at its end. */
export function printPlan(plan: Plan, options: PrintOptions = {}): string {
  const lanes = LANES.filter((lane) => plan.lanes[lane]);
  const given = plan.given.length > 0 ? `given: ${plan.given.map(clean).join(', ')}\n\n` : '';
  if (options.view === 'order') return given + table(orderRows(plan, lanes), options, orderHead(lanes));
  const sections = lanes.map((lane) => {
    const rows = (plan.lanes[lane] ?? []).map((step, i) => row(String(i + 1), step, options));
    return `${paint(options, 'head', LANE_TITLES[lane])}\n${table(rows, options)}`;
  });
  return given + sections.join('\n');

  function orderRows(of: Plan, shown: readonly Lane[]): Row[] {
    return gutters(executionOrder(of), of, shown).map(({ gutter, step }) => row(gutter, step, options));
  }
}

const LANE_TITLES: Record<Lane, string> = {
  outside: 'outside: in the supervisor',
  bridge: 'bridge: in between',
  inside: 'inside: in the process that becomes the container',
};

interface Row {
  readonly gutter: string;
  readonly step?: Step;
  readonly call: string;
  readonly field: string;
  readonly why: string;
}

function row(gutter: string, step: Step, options: PrintOptions): Row {
  const { name, args, result } = stepText(step, options);
  const call = `${conditionText(step)}${name}(${args})${result && ` = ${result}`}`;
  return { gutter, step, call, field: clean(step.field), why: clean(step.why) };
}

/** Width of a lane's cell, and where in it the number ends. */
const CELL = 8;
const NUMBER = 4;

function orderHead(lanes: readonly Lane[]): string {
  return lanes.map((lane) => lane.padEnd(CELL)).join('');
}

/** The cells before each step: its number in the column of its lane, lines for the lanes that live, arrows between. */
function gutters(order: readonly Ordered[], plan: Plan, lanes: readonly Lane[]): { gutter: string; step: Step }[] {
  const alive = new Set<Lane>(['outside']);
  return order.map(({ lane, index, step }) => {
    const target = step.kind === 'clone' || step.kind === 'post' ? step.inputs.lane : undefined;
    const cells = lanes.map((one) => {
      if (one === lane)
        return String(index + 1)
          .padStart(NUMBER)
          .padEnd(CELL);
      return (alive.has(one) ? '│' : '').padStart(NUMBER).padEnd(CELL);
    });
    if (target) alive.add(target);
    if (index + 1 === plan.lanes[lane]?.length) alive.delete(lane);
    const line = cells.join('');
    return { gutter: target ? arrow(line, lanes.indexOf(lane), lanes.indexOf(target)) : line, step };
  });
}

/** Draws from one lane's cell to another's: `3 ──▶`. */
function arrow(line: string, from: number, to: number): string {
  const characters = [...line];
  const [left, right] = from < to ? [from, to] : [to, from];
  const first = left * CELL + NUMBER;
  const last = right * CELL + NUMBER - 1;
  for (let i = first; i <= last; i++) if (characters[i] === ' ' || characters[i] === '│') characters[i] = '─';
  if (from < to) characters[last] = '▶';
  else characters[first - 1] = '◀';
  return characters.join('');
}

/** Space between columns. */
const GAP = 2;
const MAX_FIELD = 34;
/** Below this the field and the why go on a line of their own. */
const NARROW = 110;

function table(rows: readonly Row[], options: PrintOptions, head?: string): string {
  const gutter = Math.max(3, ...rows.map((one) => one.gutter.length), head?.length ?? 0);
  const width = options.width ?? Number.POSITIVE_INFINITY;
  const widest = (key: 'call' | 'field') => Math.max(4, ...rows.map((one) => one[key].length));
  const lines: string[] = head ? [paint(options, 'head', head.trimEnd())] : [];
  const field = Math.min(MAX_FIELD, widest('field'));
  const left = width - gutter - GAP;
  const call = Math.min(widest('call'), Number.isFinite(width) ? Math.floor((left - field - 2 * GAP) * 0.62) : 100);
  for (const one of rows) {
    const number = head ? one.gutter.padEnd(gutter) : one.gutter.padStart(gutter);
    if (width < NARROW) {
      lines.push(...narrow(one, number, Math.max(20, left), options));
      continue;
    }
    const columns = [
      wrap(one.call, Number.isFinite(width) ? call : Number.POSITIVE_INFINITY),
      wrap(one.field, Number.isFinite(width) ? field : Number.POSITIVE_INFINITY),
      wrap(one.why, left - call - field - 2 * GAP),
    ] as const;
    for (let i = 0; i < Math.max(...columns.map((column) => column.length)); i++) {
      const cells = [
        paint(options, 'number', i === 0 ? number : continued(number)),
        paintCall(options, pad(columns[0][i] ?? '', call), i),
        paint(options, 'field', pad(columns[1][i] ?? '', field)),
        paint(options, 'why', columns[2][i] ?? ''),
      ];
      lines.push(cells.join(' '.repeat(GAP)).trimEnd());
    }
  }
  return `${lines.join('\n')}\n`;
}

function narrow(one: Row, number: string, width: number, options: PrintOptions): string[] {
  const calls = wrap(one.call, width).map((text, i) => {
    const start = paint(options, 'number', i === 0 ? number : continued(number));
    return `${start}${' '.repeat(GAP)}${paintCall(options, text, i)}`;
  });
  const said = wrap(`${one.field}: ${one.why}`, width - 4).map(
    (text) => `${paint(options, 'number', continued(number))}${' '.repeat(GAP + 4)}${paint(options, 'why', text)}`,
  );
  return [...calls, ...said].map((line) => line.trimEnd());
}

/** The lines of living lanes go on beside a wrapped row; numbers and arrows do not. */
function continued(gutter: string): string {
  return gutter.replace(/[^│]/g, ' ');
}

function pad(text: string, width: number): string {
  return text.padEnd(Number.isFinite(width) ? width : 0);
}

/** Breaks at spaces and after `|`, and where there are none, anywhere. */
function wrap(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const room = Math.max(8, width);
  const lines: string[] = [];
  let rest = text;
  while (rest.length > room) {
    const space = Math.max(rest.lastIndexOf(' ', room), rest.lastIndexOf('|', room - 1) + 1);
    const at = space > room / 3 ? space : room;
    lines.push(rest.slice(0, at).trimEnd());
    rest = rest.slice(at).trimStart();
  }
  return [...lines, rest];
}

const STYLES = { head: '1', number: '2', name: '36', field: '33', why: '2' } as const;

function paint(options: PrintOptions, style: keyof typeof STYLES, text: string): string {
  return options.color && text.trim() !== '' ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
}

/** The call's name alone is coloured, in its first line. */
function paintCall(options: PrintOptions, text: string, line: number): string {
  if (!options.color || line > 0) return text;
  return text.replace(
    /^((?:.*?: )?)(\w+)(?=\()/,
    (_, condition: string, name: string) => condition + paint(options, 'name', name),
  );
}
