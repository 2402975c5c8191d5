/**
 * .dockerignore: what of the context a build does not see. One pattern a line, the last that matches decides, `!` takes back; a pattern that
 * matches a folder matches all that is in it. https://docs.docker.com/build/concepts/context/#dockerignore-files
 */
import { posix } from 'node:path';
import { Source, withoutReturn } from '../parse/source.js';
import { Glob } from './glob.js';

interface Rule {
  readonly glob: Glob;
  readonly exception: boolean;
  readonly line: number;
  readonly text: string;
}

/** Which rules have matched a folder, and so match all in it. */
export type Matched = readonly boolean[];

export interface Verdict {
  readonly ignored: boolean;
  readonly matched: Matched;
}

export class IgnoreRules {
  readonly file: string;
  readonly #rules: readonly Rule[];

  /** @throws TareError `config` with the place of a malformed pattern */
  constructor(text: string, file: string) {
    const source = new Source(file, text);
    this.file = file;
    this.#rules = source.lines.flatMap((line, index) => parseRule(source, withoutReturn(line), index + 1));
  }

  /** Patterns that are given one by one: `COPY --exclude`. */
  static of(patterns: readonly string[], file: string): IgnoreRules {
    return new IgnoreRules(patterns.map((pattern) => pattern.replace(/[\r\n]/g, '')).join('\n'), file);
  }

  get hasExceptions(): boolean {
    return this.#rules.some(({ exception }) => exception);
  }

  /** @param path relative, without `.` and `..`; @param parent what was said of the folder it is in */
  check(path: string, parent?: Matched): Verdict {
    let ignored = false;
    const matched = this.#rules.map(({ glob, exception }, index) => {
      const matches = parent?.[index] || (exception === ignored && glob.matches(path));
      if (matches) ignored = !exception;
      return matches;
    });
    return { ignored, matched };
  }

  /** The same of a path whose parents have not been asked about. */
  checkWhole(path: string): Verdict {
    let verdict: Verdict = { ignored: false, matched: this.#rules.map(() => false) };
    const parts = path.split('/');
    for (let count = 1; count <= parts.length; count += 1)
      verdict = this.check(parts.slice(0, count).join('/'), verdict.matched);
    return verdict;
  }

  /** The rule by which a path is left out: `line 3 of .dockerignore, "*.log"`. */
  reason(path: string): string | undefined {
    const { ignored, matched } = this.checkWhole(path);
    const rule = this.#rules.findLast(({ exception }, index) => !exception && matched[index]);
    return ignored && rule ? `line ${rule.line} of ${this.file}, ${JSON.stringify(rule.text)}` : undefined;
  }
}

function parseRule(source: Source, line: string, number: number): Rule[] {
  if (line.startsWith('#')) return [];
  const text = line.trim();
  if (text === '') return [];
  const exception = text.startsWith('!');
  const at = { line: number, column: line.length - line.trimStart().length + 1 };
  const written = exception ? text.slice(1).trim() : text;
  if (written === '') throw source.error(at, 'a pattern is missing after "!"');
  // The backslash is no separator here, so posix.normalize leaves it alone.
  const cleaned = posix
    .normalize(written)
    .replace(/^\/(?=.)/, '')
    .replace(/(?<=.)\/$/, '');
  try {
    return [{ glob: new Glob(cleaned), exception, line: number, text }];
  } catch (error) {
    throw source.error(at, `${JSON.stringify(text)} is no pattern: ${(error as Error).message}`, { cause: error });
  }
}
