/**
 * Flags of an instruction: `--name=value` between its name and its arguments. Quotes and escapes are taken away as they are read; `--` ends
 * them.
 */
import { nearest } from '../../near.js';
import type { Source } from './source.js';
import type { Escape, Position, Word } from './types.js';
import { type Rest, restFrom, wordAt } from './words.js';

interface Flag {
  readonly name: string;
  readonly value: Word | undefined;
  readonly at: Position;
}

/** Reads the flags, and gives what follows them. */
export function takeFlags(rest: Rest, escapeSign: Escape): { flags: Flag[]; rest: Rest } {
  const flags: Flag[] = [];
  let from = 0;
  for (;;) {
    while (SPACE.test(rest.text[from] ?? 'x')) from += 1;
    if (!rest.text.startsWith('--', from)) break;
    const { text, end, equals } = takeWord(rest.text, from, escapeSign);
    if (text === '--') {
      from = end;
      break;
    }
    flags.push(makeFlag(rest, from, text, equals));
    from = end;
  }
  return { flags, rest: restFrom(rest.line, rest.offset + from) };
}

const SPACE = /\s/;

/** The word without its quotes, where it ends, and where its value begins in the text. */
function takeWord(text: string, from: number, escapeSign: Escape): { text: string; end: number; equals: number } {
  let [word, quote, end, equals] = ['', '', from, -1];
  for (; end < text.length; end += 1) {
    const char = text[end] as string;
    if (quote === '' && SPACE.test(char)) break;
    if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === escapeSign) {
      end += 1;
      word += text[end] ?? '';
    } else {
      if (char === '=' && equals < 0) equals = end + 1;
      word += char;
    }
  }
  return { text: word, end, equals };
}

function makeFlag(rest: Rest, start: number, text: string, valueAt: number): Flag {
  const { at } = wordAt(rest, start, '');
  const equals = text.indexOf('=');
  if (equals < 0) return { name: text.slice(2), value: undefined, at };
  return {
    name: text.slice(2, equals),
    value: wordAt(rest, valueAt < 0 ? start : valueAt, text.slice(equals + 1)),
    at,
  };
}

/** The flags of one instruction, checked against those that it has. */
export class Flags {
  readonly #flags: readonly Flag[];
  readonly #source: Source;

  constructor(source: Source, instruction: string, flags: readonly Flag[], known: Readonly<Record<string, FlagKind>>) {
    this.#flags = flags;
    this.#source = source;
    const seen = new Set<string>();
    for (const { name, value, at } of flags) {
      const kind = Object.hasOwn(known, name) ? known[name] : undefined;
      if (kind === undefined) throw source.error(at, unknownFlag(instruction, name, Object.keys(known)));
      if (kind !== 'switch' && value === undefined) throw source.error(at, `--${name} needs a value: --${name}=…`);
      if (kind !== 'many' && seen.has(name)) throw source.error(at, `--${name} is there twice`);
      seen.add(name);
    }
  }

  has(name: string): boolean {
    return this.#flags.some((flag) => flag.name === name);
  }

  /** Undefined too when its value is empty. */
  value(name: string): Word | undefined {
    const value = this.#flags.find((flag) => flag.name === name)?.value;
    return value?.text === '' ? undefined : value;
  }

  values(name: string): Word[] {
    return this.#flags.flatMap((flag) => (flag.name === name && flag.value ? [flag.value] : []));
  }

  /** `--link`, `--link=true`, `--link=false`. */
  isOn(name: string): boolean {
    const flag = this.#flags.find((candidate) => candidate.name === name);
    const value = flag === undefined ? 'false' : (flag.value?.text.toLowerCase() ?? 'true');
    if (value === 'true' || value === 'false') return value === 'true';
    throw this.#source.error(flag?.value?.at ?? { line: 1, column: 1 }, `--${name} is true or false`);
  }
}

/** `one` has a value, `many` may be repeated, a `switch` may stand without a value. */
export type FlagKind = 'one' | 'many' | 'switch';

function unknownFlag(instruction: string, name: string, known: readonly string[]): string {
  if (known.length === 0)
    return `${instruction} has no flags, so --${name} cannot be one; if it is an argument, put "--" before it`;
  const near = nearest(name, known);
  const has = known.map((flag) => `--${flag}`).join(', ');
  return `${instruction} has no flag --${name}${near === undefined ? `: it has ${has}` : `; did you mean --${near}?`}`;
}
