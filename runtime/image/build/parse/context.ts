/**
 * One instruction while it is read: its name, what follows, and where everything stands. The functions of instructions.ts take from it what
 * they know: flags, then arguments, then here-documents.
 */
import type { FlagKind } from './flags.js';
import { Flags, takeFlags } from './flags.js';
import { readHeredocs } from './heredoc.js';
import type { LineReader, LogicalLine } from './lines.js';
import type { Source } from './source.js';
import type { Command, Escape, Heredoc, Position, Word } from './types.js';
import { parseJsonWords, type Rest, restFrom, wordAt } from './words.js';

export class Context {
  readonly #reader: LineReader;
  readonly #line: LogicalLine;
  readonly #start: number;
  #rest: Rest;
  #heredocs: readonly Heredoc[] = [];
  /** As it is written, and in capitals. */
  readonly written: string;
  readonly name: string;
  readonly at: Position;

  constructor(reader: LineReader, line: LogicalLine, offset = 0) {
    this.#reader = reader;
    this.#line = line;
    const whole = restFrom(line, offset);
    this.written = /^\S*/.exec(whole.text)?.[0] ?? '';
    this.name = this.written.toUpperCase();
    this.#start = whole.offset;
    this.at = line.at(whole.offset);
    this.#rest = restFrom(line, whole.offset + this.written.length);
  }

  get source(): Source {
    return this.#reader.source;
  }

  get escape(): Escape {
    return this.#reader.directives.escape;
  }

  get rest(): Rest {
    return this.#rest;
  }

  /** Takes the flags away from what follows. */
  flags(known: Readonly<Record<string, FlagKind>>): Flags {
    const { flags, rest } = takeFlags(this.#rest, this.escape);
    this.#rest = rest;
    return new Flags(this.source, this.name, flags, known);
  }

  /** What follows, which must not be empty. */
  needed(what: string): Rest {
    if (this.#rest.text === '') throw this.source.error(this.at, `${this.name} needs ${what}`);
    return this.#rest;
  }

  /** The strings, when what follows is an array of JSON. */
  json(): Word[] | undefined {
    const words = parseJsonWords(this.#rest);
    const { at } = wordAt(this.#rest, 0, '');
    if (words === 'mixed') throw this.source.error(at, 'every item of the array must be a string, in double quotes');
    if (words !== 'other') return words;
    if (this.#rest.text.startsWith('[') && /["'],|["']\s*\]/.test(this.#rest.text))
      this.warn(
        'InvalidJSON',
        'this looks like a JSON array, but is none: strings are in double quotes, with commas between them',
        at,
      );
    return undefined;
  }

  /** What follows as a command, in shell or JSON form. */
  command(): Command {
    const words = this.#rest.text === '' ? undefined : this.json();
    return words ? { form: 'exec', args: words.map(({ text }) => text) } : { form: 'shell', text: this.#rest.text };
  }

  heredocs(): readonly Heredoc[] {
    this.#heredocs = readHeredocs(this.#rest, this.#reader);
    return this.#heredocs;
  }

  heredocsRead(): readonly Heredoc[] {
    return this.#heredocs;
  }

  /** The instruction that stands behind this one: of ONBUILD. */
  within(): Context {
    return new Context(this.#reader, this.#line, this.#rest.offset);
  }

  /** To be asked last: here-documents belong to it. */
  placed(): { at: Position; lastLine: number; original: string } {
    return { at: this.at, lastLine: this.#reader.line, original: this.#line.text.slice(this.#start).trim() };
  }

  warn(rule: string, message: string, at: Position = this.at): void {
    this.#reader.warnings.push({ rule, message, at });
  }
}
