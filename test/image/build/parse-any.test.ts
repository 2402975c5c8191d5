/** Whatever the text of a Dockerfile: a result or an error that shows its place, with places that are true, in time that grows with its length. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are what is expanded
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expandWord, parseDockerfile, type Word } from '../../../runtime/image/build/parse/index.js';
import { INSTRUCTIONS } from '../../../runtime/image/build/parse/instructions.js';
import { TareError } from '../../../runtime/kernel/error.js';

const piece = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(...INSTRUCTIONS, 'FROM a AS b', 'COPY a b', 'ENV a=b', 'RUN <<E', 'E', '# escape=`'),
  },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      ' ',
      '\n',
      '\\\n',
      '`\n',
      '\r\n',
      '\t',
      '"',
      "'",
      '\\',
      '$',
      '${',
      '}',
      '=',
      '--',
      '<<',
      '[',
      ']',
      ',',
      '#',
      ':-',
      '%%',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '--from=',
      '--mount=',
      '--chown=x',
      'type=cache',
      'target=/a',
      '["a", "b"]',
      'CMD',
      'NONE',
      '--interval=3s',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
);
const dockerfile = fc.array(piece, { maxLength: 60 }).map((pieces) => `FROM scratch\n${pieces.join('')}`);

/** All words of a result, wherever they are. */
function words(value: unknown): Word[] {
  if (typeof value !== 'object' || value === null) return [];
  const { text, at } = value as Partial<Word>;
  if (typeof text === 'string' && at !== undefined) return [{ text, at }];
  return Object.values(value).flatMap(words);
}

describe('any text', () => {
  it('is read, or refused with a place', () => {
    fc.assert(
      fc.property(fc.oneof(dockerfile, fc.string({ unit: 'binary' })), (text) => {
        try {
          const { stages, source } = parseDockerfile(text, 'Dockerfile');
          for (const word of words(stages)) expand(source, word);
        } catch (error) {
          expect(error).toBeInstanceOf(TareError);
          const [, line, column] = /^Dockerfile:(\d+):(\d+)$/.exec((error as TareError).path ?? '') ?? [];
          const lines = text.replace(/^\uFEFF/, '').split('\n');
          expect(Number(line)).toBeLessThanOrEqual(lines.length);
          expect(Number(column)).toBeLessThanOrEqual((lines[Number(line) - 1]?.length ?? 0) + 1);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('has each word where it says', () => {
    fc.assert(
      fc.property(dockerfile, (text) => {
        const parsed = attempt(text);
        const lines = text.split('\n');
        for (const word of words(parsed?.stages ?? [])) {
          const first = /^[\p{L}\p{N}/._-]+/u.exec(word.text)?.[0] ?? '';
          const rest = lines[word.at.line - 1]?.slice(word.at.column - 1) ?? '';
          // A word may go on in the next line, and be a string of JSON, where a character has several spellings.
          if (first !== '' && !rest.includes('\\') && !rest.includes('`')) expect(rest.startsWith(first)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function attempt(text: string) {
  try {
    return parseDockerfile(text, 'Dockerfile');
  } catch (error) {
    expect(error).toBeInstanceOf(TareError);
    return undefined;
  }
}

function expand(source: Parameters<typeof expandWord>[0], word: Word): void {
  expandWord(source, word, { get: (name) => (name.length % 2 === 0 ? name : undefined) });
}

/** Texts that would take quadratic time if any part of the language were read again from its beginning. */
const LONG: readonly [string, (count: number) => string][] = [
  ['spaces', (count) => `RUN a${' '.repeat(count)}b`],
  ['escapes and spaces', (count) => `RUN ${'\\ '.repeat(count)}b`],
  ['carriage returns', (count) => `RUN ${'\r'.repeat(count)}b`],
  ['continuations', (count) => `RUN a${'\\\n'.repeat(count)}b`],
  ['comments in a continuation', (count) => `RUN a\\\n${'# x\n'.repeat(count)}b`],
  ['quotes', (count) => `ENV a=${'"'.repeat(count)}`],
  ['pairs', (count) => `ENV ${'a=b '.repeat(count)}`],
  ['flags', (count) => `RUN ${'--mount=target=/a '.repeat(count / 10)}b`],
  ['here-documents', (count) => `RUN cat ${'<<E '.repeat(count / 10)}\n${'E\n'.repeat(count / 10)}`],
  ['openings without an end', (count) => `RUN ${'<< '.repeat(count)}`],
  ['brackets', (count) => `RUN ${'['.repeat(count)}`],
  ['JSON', (count) => `RUN [${'"a",'.repeat(count)}"b"]`],
  ['what looks like JSON', (count) => `RUN [${`'a',`.repeat(count)} ${']'.repeat(count)}`],
  ['tabs of a here-document', (count) => `RUN <<-E\n${'\t'.repeat(count)}x\nE`],
  ['fields of a mount', (count) => `RUN --mount=target=/a${',rw'.repeat(count)} b`],
  ['equals of a directive', (count) => `COPY ${'='.repeat(count)} b`],
];

describe('time', () => {
  it.each(LONG)('grows with the length: %s', (_name, make) => {
    const time = (count: number) => {
      const text = `FROM scratch\n${make(count)}\n`;
      const before = process.cpuUsage();
      attempt(text);
      return process.cpuUsage(before).user / 1000;
    };
    time(1000);
    // Quadratic, it would be many seconds of the processor; it takes some milliseconds.
    expect(time(200_000)).toBeLessThan(3000);
  });
});
