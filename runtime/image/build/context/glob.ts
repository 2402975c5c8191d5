/**
 * Patterns of file names: `*` and `?` (which stop at `/`), `[a-z]`, `\`, and `**` for any number of folders, as Go's filepath.Match and
 * .dockerignore have them. All possibilities are followed at once: no pattern takes exponential time.
 * https://pkg.go.dev/path/filepath#Match, https://docs.docker.com/build/concepts/context/#syntax
 */

type Sign =
  | { readonly kind: 'char'; readonly char: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'some' }
  | { readonly kind: 'all' }
  /** Nothing, or folders; `folders` follows it always. */
  | { readonly kind: 'maybe' }
  | { readonly kind: 'folders' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] };

export class Glob {
  readonly #signs: readonly Sign[];
  /** What every match begins and ends with: most names are told apart by that. */
  readonly #prefix: string;
  readonly #suffix: string;
  readonly isLiteral: boolean;

  /** @throws RangeError when the pattern is malformed, with the reason */
  constructor(pattern: string) {
    this.#signs = parse(pattern);
    const special = this.#signs.findIndex(({ kind }) => kind !== 'char');
    const last = this.#signs.findLastIndex(({ kind }) => kind !== 'char');
    this.isLiteral = special < 0;
    this.#prefix = literal(special < 0 ? this.#signs : this.#signs.slice(0, special));
    this.#suffix = literal(this.#signs.slice(last + 1));
  }

  matches(path: string): boolean {
    if (this.isLiteral) return path === this.#prefix;
    if (!path.startsWith(this.#prefix) || !path.endsWith(this.#suffix)) return false;
    let states = closure([0], this.#signs);
    for (const char of path) {
      if (states.length === 0) return false;
      const signs = this.#signs;
      states = closure(
        states.flatMap((state) => step(signs[state], state, char)),
        signs,
      );
    }
    return states.at(-1) === this.#signs.length;
  }
}

/** Whether a part of a path is more than a name. */
export function isPattern(text: string): boolean {
  return /[*?[\\]/.test(text);
}

function literal(signs: readonly Sign[]): string {
  return signs.map((sign) => (sign.kind === 'char' ? sign.char : '')).join('');
}

function parse(pattern: string): Sign[] {
  const signs: Sign[] = [];
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] as string;
    if (char === '*' && chars[at + 1] === '*') {
      at += chars[at + 2] === '/' ? 2 : 1;
      signs.push(...deep(chars, at));
    } else if (char === '*') signs.push({ kind: 'some' });
    else if (char === '?') signs.push({ kind: 'any' });
    else if (char === '[') {
      const { sign, end } = parseClass(chars, at);
      signs.push(sign);
      at = end;
    } else if (char === '\\') {
      at += 1;
      if (at === chars.length) throw new RangeError('a "\\" ends it');
      signs.push({ kind: 'char', char: chars[at] as string });
    } else signs.push({ kind: 'char', char });
  }
  return signs;
}

/** `**` at the end is everything; `**` before a plain name, at the very beginning, is also a part of that name. */
function deep(chars: readonly string[], at: number): Sign[] {
  const rest = chars.slice(at + 1).join('');
  const partOfName = at === 1 && chars[1] === '*' && rest !== '' && !isPattern(rest);
  return rest === '' || partOfName ? [{ kind: 'all' }] : [{ kind: 'maybe' }, { kind: 'folders' }];
}

function parseClass(chars: readonly string[], start: number): { sign: Sign; end: number } {
  const negated = chars[start + 1] === '^';
  const ranges: [string, string][] = [];
  let at = start + (negated ? 2 : 1);
  const one = () => {
    if (chars[at] === '\\') at += 1;
    const char = chars[at];
    if (char === undefined) throw new RangeError('a "[" is not closed');
    at += 1;
    return char;
  };
  while (chars[at] !== ']' || ranges.length === 0) {
    if (chars[at] === ']' || chars[at] === '-') throw new RangeError('a "[…]" is malformed');
    const from = one();
    if (chars[at] !== '-') {
      ranges.push([from, from]);
      continue;
    }
    at += 1;
    if (chars[at] === ']') throw new RangeError('a range in "[…]" has no end');
    ranges.push([from, one()]);
  }
  return { sign: { kind: 'class', negated, ranges }, end: at };
}

function step(sign: Sign | undefined, state: number, char: string): number[] {
  switch (sign?.kind) {
    case 'char':
      return sign.char === char ? [state + 1] : [];
    case 'any':
      return char === '/' ? [] : [state + 1];
    case 'some':
      return char === '/' ? [] : [state];
    case 'all':
      return [state];
    case 'folders':
      return char === '/' ? [state, state + 1] : [state];
    case 'class':
      return char !== '/' && sign.ranges.some(([from, to]) => from <= char && char <= to) !== sign.negated
        ? [state + 1]
        : [];
    default:
      return [];
  }
}

/** With what is reached without a character. In order, each once. */
function closure(states: readonly number[], signs: readonly Sign[]): number[] {
  const found = new Set<number>();
  const add = (state: number) => {
    if (found.has(state)) return;
    found.add(state);
    const kind = signs[state]?.kind;
    if (kind === 'some' || kind === 'all') add(state + 1);
    if (kind === 'maybe') {
      add(state + 1);
      add(state + 2);
    }
  };
  for (const state of states) add(state);
  return [...found].sort((a, b) => a - b);
}
