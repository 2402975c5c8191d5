/**
 * Here-documents: `<<NAME`, `<<-NAME` (tabs at the beginnings of lines go), `<<"NAME"` (nothing is expanded). Several may stand on one line;
 * their texts follow in that order. https://docs.docker.com/reference/dockerfile/#here-documents
 */
import type { LineReader } from './lines.js';
import type { Heredoc } from './types.js';
import type { Rest } from './words.js';
import { wordAt } from './words.js';

interface Opening {
  readonly name: string;
  readonly expand: boolean;
  readonly stripTabs: boolean;
  /** In the text. */
  readonly start: number;
}

/** Reads the texts of all that an instruction opens. @throws TareError `config` when one is not closed */
export function readHeredocs(rest: Rest, reader: LineReader): Heredoc[] {
  if (!rest.text.includes('<<')) return [];
  return shellWords(rest.text).flatMap(({ text, start }) => {
    const opening = parseOpening(text, start);
    return opening ? [readBody(opening, rest, reader)] : [];
  });
}

/** Is it `<<NAME` and nothing else? */
export function parseOpening(word: string, start = 0): Opening | undefined {
  const match = /^\d*<<(-?)\s*([^<]+)$/.exec(word);
  // More than a word is a command that reads a here-document: `<<EOF sh > file`.
  if (!match || shellWords(match[2] ?? '').length !== 1) return undefined;
  const { text, quoted } = unquote(match[2] ?? '');
  return text === undefined || text === ''
    ? undefined
    : { name: text, expand: !quoted, stripTabs: match[1] === '-', start };
}

function readBody(opening: Opening, rest: Rest, reader: LineReader): Heredoc {
  const { at } = wordAt(rest, opening.start, '');
  const raw = reader.heredoc(opening.name, opening.stripTabs);
  if (raw === undefined) {
    const line = JSON.stringify(opening.name);
    throw reader.source.error(
      at,
      `this here-document never ends: a line with ${line} alone is missing (if "<<" is meant otherwise, quote it)`,
    );
  }
  const content = opening.stripTabs ? raw.replace(/^\t+/gm, '') : raw;
  return { name: opening.name, expand: opening.expand, content, raw, at };
}

/** Words as a shell splits them, quotes kept; white space after `<<` belongs to the word. None when a quote is not closed. */
function shellWords(text: string): { text: string; start: number }[] {
  const words: { text: string; start: number }[] = [];
  let start = -1;
  for (let at = 0; at <= text.length; at += 1) {
    const char = text[at] ?? ' ';
    if (/\s/.test(char)) {
      if (start >= 0) words.push({ text: text.slice(start, Math.min(at, text.length)), start });
      start = -1;
      continue;
    }
    if (start < 0) start = at;
    if (char === "'" || char === '"') {
      at = closing(text, at, char);
      if (at < 0) return [];
    } else if (char === '\\') at += 1;
    else if (text.startsWith('<<', at)) {
      at += 1;
      while (/[ \t]/.test(text[at + 1] ?? '')) at += 1;
    }
  }
  return words;
}

/** Where the quote at `from` ends, or -1. */
function closing(text: string, from: number, quote: string): number {
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === quote) return at;
    if (text[at] === '\\' && quote === '"') at += 1;
  }
  return -1;
}

/** One word without its quotes; `text` is undefined when a quote is not closed. */
function unquote(word: string): { text: string | undefined; quoted: boolean } {
  let [text, quoted] = ['', false];
  for (let at = 0; at < word.length; at += 1) {
    const char = word[at] as string;
    if (char === "'" || char === '"') {
      const end = closing(word, at, char);
      if (end < 0) return { text: undefined, quoted };
      const inner = word.slice(at + 1, end);
      text += char === '"' ? inner.replace(/\\(["$\\])/g, '$1') : inner;
      quoted = true;
      at = end;
    } else if (char === '\\') {
      at += 1;
      text += word[at] ?? '';
    } else text += char;
  }
  return { text, quoted };
}
