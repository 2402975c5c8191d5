/**
 * Patterns of `${NAME#pattern}` and the like: `*` is any text, `?` any character, `\` makes the next one plain. Matched by following all
 * possibilities at once, so that no pattern takes exponential time; what all of them may take together is bounded as well.
 */

/** What is wrong in a word; its place is added where that is known. */
export class ExpansionFault extends Error {}

/** Steps that the patterns of one word may take. */
export class MatchBudget {
  #left = 2_000_000;

  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new ExpansionFault('the pattern takes too long for a value of this length');
  }
}

/** Without what the pattern matches at the beginning. */
export function trimPrefix(value: string, pattern: string, longest: boolean, budget: MatchBudget): string {
  const end = matchFrom([...value], 0, parsePattern(pattern), longest, budget);
  return end === undefined ? value : [...value].slice(end).join('');
}

/** Without what the pattern matches at the end. */
export function trimSuffix(value: string, pattern: string, longest: boolean, budget: MatchBudget): string {
  const reversed = [...value].reverse();
  const end = matchFrom(reversed, 0, parsePattern(pattern).reverse(), longest, budget);
  return end === undefined ? value : reversed.slice(end).reverse().join('');
}

/** The first match, or all, each as long as it can be. One that is empty counts too, unless it follows another. */
export function replacePattern(value: string, pattern: string, by: string, all: boolean, budget: MatchBudget): string {
  const chars = [...value];
  const signs = parsePattern(pattern);
  const out: string[] = [];
  let last = -1;
  for (let at = 0; at <= chars.length; ) {
    const end = matchFrom(chars, at, signs, true, budget);
    const isMatch = end !== undefined && (end > at || last !== at);
    if (isMatch) out.push(by);
    if (isMatch && !all) return out.concat(chars.slice(end)).join('');
    if (isMatch && end > at) {
      at = end;
      last = end;
      continue;
    }
    if (at < chars.length) out.push(chars[at] as string);
    at += 1;
  }
  return out.join('');
}

type Sign = { readonly kind: 'char'; readonly char: string } | { readonly kind: 'any' } | { readonly kind: 'some' };

function parsePattern(pattern: string): Sign[] {
  const signs: Sign[] = [];
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] as string;
    if (char === '*') signs.push({ kind: 'some' });
    else if (char === '?') signs.push({ kind: 'any' });
    else if (char === '\\' && at + 1 < chars.length) {
      at += 1;
      signs.push({ kind: 'char', char: chars[at] as string });
    } else signs.push({ kind: 'char', char });
  }
  return signs;
}

/** Where a match that begins at `start` ends; undefined when there is none. */
function matchFrom(
  text: readonly string[],
  start: number,
  signs: readonly Sign[],
  longest: boolean,
  budget: MatchBudget,
): number | undefined {
  let states = closure([0], signs);
  let found: number | undefined;
  for (let at = start; ; at += 1) {
    budget.spend(states.length + 1);
    if (states.at(-1) === signs.length) {
      found = at;
      if (!longest) return found;
    }
    const char = text[at];
    if (char === undefined || states.length === 0) return found;
    states = closure(
      states.flatMap((state) => step(signs[state], state, char)),
      signs,
    );
  }
}

function step(sign: Sign | undefined, state: number, char: string): number[] {
  if (sign === undefined) return [];
  if (sign.kind === 'some') return [state];
  return sign.kind === 'any' || sign.char === char ? [state + 1] : [];
}

/** `*` may also be nothing. The states are in order, each once. */
function closure(states: readonly number[], signs: readonly Sign[]): number[] {
  const out: number[] = [];
  for (let state of states) {
    for (; out.length === 0 || (out.at(-1) as number) < state; state += 1) {
      out.push(state);
      if (signs[state]?.kind !== 'some') break;
    }
  }
  return out;
}
