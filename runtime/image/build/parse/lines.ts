/**
 * From lines of the file to lines of the language: parser directives, comments, and instructions that go on with `\` at the end of a line. A
 * logical line remembers of each of its parts where it stands. https://docs.docker.com/reference/dockerfile/#format
 */
import { Source, withoutReturn } from './source.js';
import type { Directives, Escape, Position, Warning } from './types.js';

/** An instruction on one line. */
export class LogicalLine {
  #text = '';
  readonly #parts: { readonly offset: number; readonly line: number; readonly column: number }[] = [];

  get text(): string {
    return this.#text;
  }

  append(text: string, line: number, column: number): void {
    this.#parts.push({ offset: this.#text.length, line, column });
    this.#text += text;
  }

  /** Where a character of it stands in the file. */
  at(offset: number): Position {
    let low = 0;
    for (let high = this.#parts.length - 1; low < high; ) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#parts[middle]?.offset ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    const { offset: first, line, column } = this.#parts[low] ?? { offset: 0, line: 1, column: 1 };
    return { line, column: column + offset - first };
  }
}

export class LineReader {
  readonly source: Source;
  readonly directives: Directives;
  readonly warnings: Warning[] = [];
  readonly #continues: RegExp;
  #next = 0;

  constructor(file: string, text: string) {
    this.source = new Source(file, text);
    const { directives, count } = readDirectives(this.source);
    this.directives = directives;
    this.#next = count;
    const sign = directives.escape === '`' ? '`' : '\\\\';
    // An escaped escape at the end is none; one that stands alone is.
    this.#continues = new RegExp(`(?<!${sign})${sign}[ \\t]*$`);
  }

  /** The number of the line that was read last. */
  get line(): number {
    return this.#next;
  }

  /** The next instruction, or undefined at the end. */
  next(): LogicalLine | undefined {
    for (;;) {
      const text = this.#take();
      if (text === undefined) return undefined;
      const trimmed = text.trimStart();
      if (trimmed === '' || trimmed.startsWith('#')) continue;
      const line = new LogicalLine();
      const goesOn = this.#append(line, trimmed, text.length - trimmed.length + 1);
      if (goesOn) this.#continuation(line);
      if (line.text.trim() !== '') return line;
    }
  }

  /** The lines up to the one that is `name`; undefined when there is none. */
  heredoc(name: string, stripTabs: boolean): string | undefined {
    let content = '';
    for (let text = this.#takeAsIs(); text !== undefined; text = this.#takeAsIs()) {
      if (withoutReturn(stripTabs ? text.replace(/^\t+/, '') : text) === name) return content;
      content += `${text}\n`;
    }
    return undefined;
  }

  #continuation(line: LogicalLine): void {
    let warned = false;
    for (let text = this.#take(); text !== undefined; text = this.#take()) {
      const trimmed = text.trim();
      if (trimmed.startsWith('#')) continue;
      if (trimmed === '') {
        if (!warned) this.warnings.push(emptyContinuation(this.#next));
        warned = true;
        continue;
      }
      if (!this.#append(line, text, 1)) return;
    }
  }

  /** Whether the line says that it goes on. */
  #append(line: LogicalLine, text: string, column: number): boolean {
    const end = text.search(this.#continues);
    line.append(end < 0 ? text : text.slice(0, end), this.#next, column);
    return end >= 0;
  }

  #take(): string | undefined {
    const text = this.#takeAsIs();
    return text === undefined ? undefined : withoutReturn(text);
  }

  #takeAsIs(): string | undefined {
    const text = this.source.lines[this.#next];
    if (text === undefined || (text === '' && this.#next === this.source.lines.length - 1)) return undefined;
    this.#next += 1;
    return text;
  }
}

function emptyContinuation(line: number): Warning {
  const message = 'an empty line in the middle of an instruction: put a comment there, or take it out';
  return { rule: 'NoEmptyContinuation', message, at: { line, column: 1 } };
}

/** Comments `# name=value` before everything else. The first line that is none ends them. */
function readDirectives(source: Source): { directives: Directives; count: number } {
  const found = new Map<string, string>();
  let count = 0;
  for (const line of source.lines.map(withoutReturn)) {
    const match = /^\s*#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/.exec(line);
    const name = match?.[1]?.toLowerCase() ?? '';
    if (!match || !KNOWN.has(name)) break;
    const value = match[2]?.trim() ?? '';
    const at = { line: count + 1, column: match[0].length - (match[2]?.length ?? 0) + 1 };
    if (found.has(name)) throw source.error(at, `the directive "${name}" is there twice`);
    if (name === 'escape' && value !== '\\' && value !== '`')
      throw source.error(at, `the escape character is \\ or \`, not ${JSON.stringify(value)}`);
    if (name === 'syntax') checkSyntax(source, at, value);
    found.set(name, value);
    count += 1;
  }
  const [syntax, check] = [found.get('syntax'), found.get('check')];
  const escapeSign = (found.get('escape') ?? '\\') as Escape;
  return { directives: { ...(syntax && { syntax }), escape: escapeSign, ...(check && { check }) }, count };
}

const KNOWN: ReadonlySet<string> = new Set(['syntax', 'escape', 'check']);

/** Another front end is another language, and would have to be run as a program. */
function checkSyntax(source: Source, at: Position, value: string): void {
  if (/^(docker\.io\/)?docker\/dockerfile(-upstream)?(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$/.test(value)) return;
  throw source.error(
    at,
    `this is not for docker/dockerfile, the language that Tare reads, but for ${JSON.stringify(value)}`,
    {
      code: 'unsupported',
    },
  );
}
