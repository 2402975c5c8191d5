/** `--chmod`: octal, or what chmod(1) takes (`u=rwX,go=rX`, `a+x`), said of the mode that a file has. */
import { TareError } from '../../../kernel/error.js';

/** The lower twelve bits, from those that were. */
export interface ModeChange {
  (mode: number, isFolder: boolean): number;
  /** Where it is the same whatever the mode was. */
  readonly exact?: number;
}

/** @throws TareError `config` */
export function parseMode(text: string): ModeChange {
  if (/^[0-7]{1,5}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    if (mode <= 0o7777) return Object.assign(() => mode, { exact: mode });
  }
  const clauses = text.split(',').map(parseClause);
  if (clauses.some((clause) => clause === undefined))
    throw new TareError(
      'config',
      `--chmod is octal (755) or as chmod has it (u=rwX,go=rX), not ${JSON.stringify(text)}`,
    );
  return (mode, isFolder) => clauses.reduce((now, clause) => clause?.(now, isFolder) ?? now, mode);
}

const BITS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111 };
const WHO: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007 };

function parseClause(text: string): ModeChange | undefined {
  const match = /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/.exec(text);
  if (!match) return undefined;
  const who = /a|^$/.test(match[1] ?? '') ? 'ugo' : (match[1] as string);
  const mask = [...who].reduce((bits, letter) => bits | (WHO[letter] ?? 0), 0);
  const actions = [...(match[2] as string).matchAll(/([-+=])([ugo]|[rwxXst]*)/g)];
  return (mode, isFolder) =>
    actions.reduce((now, [, sign, letters]) => {
      const bits = bitsOf(letters ?? '', now, isFolder, who) & mask;
      if (sign === '+') return now | bits;
      if (sign === '-') return now & ~bits;
      // What "=" does not name of a folder's set-id bits stays, as chmod(1) has it.
      return (now & ~(mask & (isFolder ? 0o1777 : 0o7777))) | bits;
    }, mode);
}

function bitsOf(letters: string, mode: number, isFolder: boolean, who: string): number {
  if (letters === 'u') return ((mode >> 6) & 7) * 0o111;
  if (letters === 'g') return ((mode >> 3) & 7) * 0o111;
  if (letters === 'o') return (mode & 7) * 0o111;
  let bits = 0;
  for (const letter of letters) {
    if (letter === 'X') bits |= isFolder || (mode & 0o111) !== 0 ? 0o111 : 0;
    else if (letter === 's') bits |= 0o6000;
    else if (letter === 't') bits |= who === 'ugo' || who.includes('o') ? 0o1000 : 0;
    else bits |= BITS[letter] ?? 0;
  }
  return bits;
}
