/**
 * Variables, quotes and escapes of a word: `$NAME`, `${NAME}`, `${NAME:-word}` and with `-`, `:+`, `+`, `:?`, `?`, `#`, `##`, `%`, `%%`, `/`, `//`.
 * Both its time and what comes out are bounded: a Dockerfile may be anybody's. https://docs.docker.com/reference/dockerfile/#environment-replacement
 */
import { ExpansionFault, MatchBudget, replacePattern, trimPrefix, trimSuffix } from './pattern.js';
import type { Source } from './source.js';
import type { Escape, Word } from './types.js';

export interface Variables {
  /** Undefined when it is not set. */
  get(name: string): string | undefined;
}

export interface ExpandOptions {
  readonly escape?: Escape;
  /** Quotes are text like any other: in here-documents. */
  readonly keepQuotes?: boolean;
  /** Told of every variable that is used and not set, unless the word says what to do then. */
  readonly onUnset?: (name: string) => void;
}

/** One word, whatever white space comes out. @throws TareError `config` with the place of the word */
export function expandWord(source: Source, word: Word, variables: Variables, options: ExpandOptions = {}): string {
  return expand(source, word, variables, options).text;
}

/** Split at white space that is not quoted, also where it comes from a variable: EXPOSE. */
export function expandWords(source: Source, word: Word, variables: Variables, options: ExpandOptions = {}): string[] {
  return expand(source, word, variables, options).words;
}

function expand(source: Source, word: Word, variables: Variables, options: ExpandOptions): Expanded {
  if (!/["'\\`$]/.test(word.text))
    return { text: word.text, words: word.text.split(/\s+/).filter((part) => part !== '') };
  try {
    return new Expansion(word.text, variables, options).run();
  } catch (error) {
    if (error instanceof ExpansionFault) throw source.error(word.at, error.message);
    throw error;
  }
}

interface Expanded {
  readonly text: string;
  readonly words: string[];
}

const MAX_RESULT = 1 << 20;
const MAX_DEPTH = 100;

class Expansion {
  readonly #text: string;
  readonly #variables: Variables;
  readonly #escape: Escape;
  readonly #options: ExpandOptions;
  readonly #budget = new MatchBudget();
  #at = 0;
  #depth = 0;

  constructor(text: string, variables: Variables, options: ExpandOptions) {
    this.#text = text;
    this.#variables = variables;
    this.#escape = options.escape ?? '\\';
    this.#options = options;
  }

  run(): Expanded {
    return this.#until(undefined, false);
  }

  /** Up to the character, which is passed, or the end. `keepEscapes`: the text is a pattern, and its escapes are the pattern's. */
  #until(stop: string | undefined, keepEscapes: boolean): Expanded {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new ExpansionFault(`variables within variables, deeper than ${MAX_DEPTH}`);
    const out = new Words();
    for (; this.#at < this.#text.length; ) {
      const char = this.#text[this.#at] as string;
      if (char === stop) {
        this.#at += 1;
        this.#depth -= 1;
        return out.finish();
      }
      if (char === '$') out.addSplit(this.#variable());
      else if ((char === '"' || char === "'") && !this.#options.keepQuotes) out.add(this.#quoted(char, keepEscapes));
      else if (char === this.#escape) out.add(this.#escaped(keepEscapes));
      else {
        PLAIN.lastIndex = this.#at;
        const plain = PLAIN.exec(this.#text)?.[0] ?? char;
        out.addSplit(plain);
        this.#at += plain.length;
      }
    }
    if (stop !== undefined)
      throw new ExpansionFault(`a variable in braces is not closed: ${JSON.stringify(stop)} is missing`);
    return out.finish();
  }

  #escaped(keep: boolean): string {
    const next = this.#text[this.#at + 1] ?? '';
    this.#at += 2;
    return keep ? this.#escape + next : next;
  }

  #quoted(quote: string, keepEscapes: boolean): string {
    let out = '';
    for (this.#at += 1; this.#at < this.#text.length; ) {
      const char = this.#text[this.#at] as string;
      if (char === quote) {
        this.#at += 1;
        return out;
      }
      const next = this.#text[this.#at + 1];
      if (quote === '"' && char === '$') out += this.#variable();
      else if (quote === '"' && char === this.#escape && (next === '"' || next === '$' || next === this.#escape))
        out += this.#escaped(keepEscapes);
      else {
        out += char;
        this.#at += 1;
      }
      checkLength(out);
    }
    throw new ExpansionFault(`a ${quote === '"' ? 'double' : 'single'} quote is not closed`);
  }

  #variable(): string {
    this.#at += 1;
    if (this.#text[this.#at] !== '{') {
      const name = this.#name();
      return name === '' ? '$' : this.#value(name);
    }
    this.#at += 1;
    const name = this.#name();
    if (name === '') throw new ExpansionFault('the braces behind $ begin with no name of a variable');
    const operator = this.#text[this.#at];
    this.#at += 1;
    if (operator === '}') return this.#value(name);
    if (operator === undefined) throw new ExpansionFault(`\${${name}… is not closed: "}" is missing`);
    if (operator === '#' || operator === '%') return this.#trimmed(name, operator);
    if (operator === '/') return this.#replaced(name);
    const colon = operator === ':';
    const kind = colon ? this.#text[this.#at] : operator;
    if (colon) this.#at += 1;
    return this.#conditional(name, kind ?? '', colon);
  }

  #conditional(name: string, kind: string, emptyIsUnset: boolean): string {
    if (!'-+?'.includes(kind) || kind === '')
      throw new ExpansionFault(`\${${name}${emptyIsUnset ? ':' : ''}${kind}…}: there is no such operator`);
    const { text: word } = this.#until('}', false);
    const value = this.#variables.get(name);
    const isSet = value !== undefined && !(emptyIsUnset && value === '');
    if (kind === '+') return isSet ? word : '';
    if (isSet) return value;
    if (kind === '-') return word;
    throw new ExpansionFault(`${name}: ${word || `must be set${emptyIsUnset ? ', and not empty' : ''}`}`);
  }

  #trimmed(name: string, operator: '#' | '%'): string {
    const longest = this.#text[this.#at] === operator;
    if (longest) this.#at += 1;
    const { text: pattern } = this.#until('}', true);
    const value = this.#value(name);
    return (operator === '#' ? trimPrefix : trimSuffix)(value, pattern, longest, this.#budget);
  }

  #replaced(name: string): string {
    const all = this.#text[this.#at] === '/';
    if (all) this.#at += 1;
    const { text: pattern } = this.#until('/', true);
    const { text: replacement } = this.#until('}', true);
    const result = replacePattern(this.#value(name), pattern, replacement, all, this.#budget);
    checkLength(result);
    return result;
  }

  #value(name: string): string {
    const value = this.#variables.get(name);
    if (value === undefined) this.#options.onUnset?.(name);
    return value ?? '';
  }

  /** Letters, digits and `_`; or digits alone, or one special parameter of a shell: these are never set here. */
  #name(): string {
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.#text)?.[0] ?? '';
    this.#at += name.length;
    return name;
  }
}

/** Nothing that means anything anywhere. */
const PLAIN = /[^\s"'$\\`/}]+/y;
const NAME = /\p{Nd}+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*/uy;

function checkLength(text: string): void {
  if (text.length > MAX_RESULT) throw new ExpansionFault(`more than ${MAX_RESULT} characters come out of it`);
}

/** The result, as one text and as words. */
class Words {
  #text = '';
  #word: string | undefined;
  readonly #words: string[] = [];

  add(text: string): void {
    this.#text += text;
    this.#word = (this.#word ?? '') + text;
    checkLength(this.#text);
  }

  /** Not quoted: white space divides words. */
  addSplit(text: string): void {
    this.#text += text;
    checkLength(this.#text);
    for (const part of text.split(/(\s+)/)) {
      if (part === '') continue;
      if (/^\s/.test(part)) this.#end();
      else this.#word = (this.#word ?? '') + part;
    }
  }

  finish(): Expanded {
    this.#end();
    return { text: this.#text, words: this.#words };
  }

  #end(): void {
    if (this.#word) this.#words.push(this.#word);
    this.#word = undefined;
  }
}
