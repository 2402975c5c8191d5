/**
 * Three ways in which instructions are split into words: at white space alone (COPY, EXPOSE, FROM), with quotes and escapes kept together (ENV,
 * LABEL, ARG), and as an array of JSON. Each word keeps its place.
 */
import type { LogicalLine } from './lines.js';
import type { Escape, Word } from './types.js';

/** A piece of a logical line, from an offset to its end. */
export interface Rest {
  readonly line: LogicalLine;
  /** Where it begins in the line. */
  readonly offset: number;
  readonly text: string;
}

export function restFrom(line: LogicalLine, from: number): Rest {
  const text = line.text.slice(from);
  const trimmed = text.trimStart();
  return { line, offset: from + text.length - trimmed.length, text: trimmed.trimEnd() };
}

export function wordAt(rest: Rest, start: number, text: string): Word {
  return { text, at: rest.line.at(rest.offset + start) };
}

/** At white space, whatever stands around it. */
export function splitAtSpaces(rest: Rest): Word[] {
  return [...rest.text.matchAll(/\S+/g)].map((match) => wordAt(rest, match.index, match[0]));
}

/** At white space that is neither quoted nor escaped. Quotes and escapes stay in the words: expansion takes them away. */
export function splitQuoted(rest: Rest, escapeSign: Escape): Word[] {
  const words: Word[] = [];
  const { text } = rest;
  let start: number | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (start === undefined) {
      if (SPACE.test(char)) continue;
      start = at;
    } else if (quote === '' && SPACE.test(char)) {
      words.push(wordAt(rest, start, text.slice(start, at)));
      start = undefined;
      continue;
    }
    if (quote !== '' && char === quote) quote = '';
    else if (char === escapeSign && quote !== "'") at += 1;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
  }
  if (start !== undefined) words.push(wordAt(rest, start, text.slice(start)));
  return words;
}

const SPACE = /\s/;

/** The strings of a JSON array. `other`: it is no such array, so the shell form is meant; `mixed`: an array, but not of strings alone. */
export function parseJsonWords(rest: Rest): Word[] | 'other' | 'mixed' {
  if (!rest.text.startsWith('[')) return 'other';
  let value: unknown;
  try {
    value = JSON.parse(rest.text);
  } catch {
    return 'other';
  }
  if (!Array.isArray(value)) return 'other';
  if (!value.every((item) => typeof item === 'string')) return 'mixed';
  const places = [...rest.text.matchAll(/"(?:[^"\\]|\\.)*"/g)];
  return value.map((text, index) => wordAt(rest, (places[index]?.index ?? 0) + 1, text));
}
