/**
 * What `tare build` shows while it works. On a terminal: steps that are done stay as one line each, those at work are drawn again below, with the
 * last lines that they print. Elsewhere: a line an event, each with the number of its step. What programs print is shown as text:
 * colours are left out, other control characters are made visible (attack 31).
 */
import type { BuildEvent, OnBuildEvent, StepInfo } from '../image/build/events.js';
import { printable } from './print.js';

export interface BuildProgress {
  readonly report: OnBuildEvent;
  /** The last word: what is still drawn is drawn no more. */
  close(): void;
}

export type ProgressMode = 'auto' | 'plain' | 'quiet';

/** Where it is shown: standard error. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): void;
}

export function makeBuildProgress(mode: ProgressMode, screen: Screen): BuildProgress {
  if (mode === 'quiet') return { report: () => undefined, close: () => undefined };
  if (mode === 'auto' && screen.isTTY) return new TerminalProgress(screen);
  return new PlainProgress(screen);
}

/** `[builder 2/4] RUN make`. */
function stepTitle({ stage, index, total, text }: StepInfo): string {
  const where = [stage, index === undefined ? undefined : `${index}/${total}`].filter((part) => part !== undefined);
  return `${where.length > 0 ? `[${where.join(' ')}] ` : ''}${plainText(text)}`;
}

class PlainProgress implements BuildProgress {
  readonly #screen: Screen;
  readonly #lines = new Map<number, Lines>();
  readonly #begun = new Map<number, number>();

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  readonly report = (event: BuildEvent): void => {
    const start = event.kind === 'warning' ? '' : `#${event.step.number} `;
    for (const line of this.#linesFor(event)) this.#screen.write(`${start}${line}\n`);
  };

  #linesFor(event: BuildEvent): string[] {
    if (event.kind === 'warning') return [`warning: ${plainText(event.text)}`];
    const { number } = event.step;
    switch (event.kind) {
      case 'started':
        this.#begun.set(number, performance.now());
        return [stepTitle(event.step)];
      case 'output': {
        const now = performance.now();
        const since = seconds(now - (this.#begun.get(number) ?? now), 3);
        return this.#linesOf(number)
          .add(event.data)
          .map((line) => `${since} ${line}`);
      }
      case 'status':
        return [plainText(event.text)];
      case 'cached':
        return ['CACHED'];
      default:
        return [...this.#linesOf(number).rest(), `${event.kind === 'done' ? 'DONE' : 'FAILED'} ${seconds(event.ms)}s`];
    }
  }

  #linesOf(number: number): Lines {
    const lines = this.#lines.get(number) ?? new Lines();
    this.#lines.set(number, lines);
    return lines;
  }

  close(): void {}
}

/** How many of the last lines of a step at work are shown. */
const TAIL = 5;
const REDRAW_MS = 100;

interface Active {
  readonly step: StepInfo;
  readonly begun: number;
  readonly lines: Lines;
  tail: string[];
}

class TerminalProgress implements BuildProgress {
  readonly #screen: Screen;
  readonly #active = new Map<number, Active>();
  readonly #timer: NodeJS.Timeout;
  #drawn = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
    this.#timer = setInterval(() => this.#draw(''), REDRAW_MS);
    this.#timer.unref();
  }

  readonly report = (event: BuildEvent): void => {
    if (event.kind === 'warning') {
      this.#draw(`warning: ${plainText(event.text)}\n`);
      return;
    }
    const { step } = event;
    const active = this.#active.get(step.number);
    if (event.kind === 'started') {
      this.#active.set(step.number, { step, begun: performance.now(), lines: new Lines(), tail: [] });
    } else if (event.kind === 'output' && active) {
      active.tail = [...active.tail, ...active.lines.add(event.data)].slice(-TAIL);
    } else if (event.kind === 'status' && active) {
      active.tail = [plainText(event.text)];
    } else if (event.kind === 'cached' || event.kind === 'done' || event.kind === 'failed') {
      this.#active.delete(step.number);
      const how = event.kind === 'cached' ? 'CACHED' : `${seconds(event.ms)}s`;
      const mark = event.kind === 'failed' ? coloured(31, '✗') : coloured(32, '✓');
      this.#draw(`${mark} ${this.#fit(stepTitle(step), how)}\n`);
    }
  };

  close(): void {
    clearInterval(this.#timer);
    this.#active.clear();
    this.#draw('');
  }

  /** `above` stays; what is at work is drawn again below it. */
  #draw(above: string): void {
    const lines = [...this.#active.values()].flatMap(({ step, begun, tail }) => [
      `▸ ${this.#fit(stepTitle(step), `${seconds(performance.now() - begun)}s`)}`,
      ...tail.map((line) => `\x1b[2m  ${line.slice(0, Math.max(0, this.#columns - 3))}\x1b[0m`),
    ]);
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A\r\x1b[J` : '';
    if (up === '' && above === '' && lines.length === 0) return;
    this.#screen.write(up + above + lines.map((line) => `${line}\n`).join(''));
    this.#drawn = lines.length;
  }

  /** The title at the left, how it stands at the right. */
  #fit(title: string, right: string): string {
    const room = Math.max(10, this.#columns - right.length - 4);
    const shown = title.length > room ? `${title.slice(0, room - 1)}…` : title;
    return `${shown.padEnd(room)} ${right}`;
  }

  get #columns(): number {
    // A terminal that does not know its size says 0.
    return this.#screen.columns || 80;
  }
}

/** https://no-color.org */
function coloured(colour: number, text: string): string {
  return process.env.NO_COLOR ? text : `\x1b[${colour}m${text}\x1b[0m`;
}

/** Bytes of a program as lines of text. A line that was written over (carriage return) is what it was at last. */
class Lines {
  readonly #decoder = new TextDecoder();
  #begun = '';

  add(data: Uint8Array): string[] {
    const parts = (this.#begun + this.#decoder.decode(data, { stream: true })).split('\n');
    this.#begun = (parts.pop() as string).slice(-MAX_LINE);
    return parts.map(shownLine);
  }

  /** What did not end with a newline. */
  rest(): string[] {
    const line = this.#begun;
    this.#begun = '';
    return line === '' ? [] : [shownLine(line)];
  }
}

/** Characters that are kept of a line that does not end. */
const MAX_LINE = 64 * 1024;

function shownLine(line: string): string {
  const parts = line.split('\r').filter((part) => part !== '');
  return plainText(parts.at(-1) ?? '');
}

/** Without sequences that set colours (ECMA-48, SGR) or erase a line (EL); what else could move the cursor is made visible. */
export function plainText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return printable(text.replace(/\x1b\[[0-9;]*[mK]/g, '').replace(/\t/g, '    '));
}

function seconds(ms: number, digits = 1): string {
  return (ms / 1000).toFixed(digits);
}
