/**
 * The value of `RUN --mount`: one line of CSV with `key=value`, `type=bind` unless told. Checked when the file is read, as far as no variable
 * is in it, and again when its variables are known. https://docs.docker.com/reference/dockerfile/#run---mount
 */

import { nearest } from '../../near.js';
import { expandWord, type Variables } from './expand.js';
import type { Source } from './source.js';
import type { Escape, RunMount, Word } from './types.js';

type Type = RunMount['type'];

/** What each type of mount can be told. */
const OPTIONS: Readonly<Record<Type, readonly string[]>> = {
  bind: ['from', 'source', 'target', 'readonly', 'readwrite'],
  cache: ['id', 'from', 'source', 'target', 'readonly', 'readwrite', 'sharing', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size', 'readonly', 'readwrite'],
  secret: ['id', 'source', 'target', 'required', 'env', 'mode', 'uid', 'gid'],
  ssh: ['id', 'target', 'required', 'mode', 'uid', 'gid'],
};
const OTHER_NAMES: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  rw: 'readwrite',
};
const SWITCHES: ReadonlySet<string> = new Set(['readonly', 'readwrite', 'required']);

/** @throws TareError `config` with the place */
export function parseMount(source: Source, word: Word, variables: Variables, escapeSign: Escape = '\\'): RunMount {
  const fields = splitFields(source, word, (value) =>
    expandWord(source, { text: value, at: word.at }, variables, { escape: escapeSign }),
  );
  return makeMount(source, word, fields);
}

/** What can be said before the variables are known. */
export function checkMount(source: Source, word: Word): void {
  const fields = splitFields(source, word, (value) => value);
  if (fields.get('from')?.includes('$'))
    throw source.error(word.at, 'from= has no variables: give the image a name with FROM … AS, and use that');
  if (![...fields.values()].some((value) => value.includes('$'))) makeMount(source, word, fields);
}

function splitFields(source: Source, word: Word, expand: (value: string) => string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const field of splitCsv(source, word)) {
    const equals = field.indexOf('=');
    const written = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const key = Object.hasOwn(OTHER_NAMES, written) ? (OTHER_NAMES[written] as string) : written;
    if (equals < 0 && !SWITCHES.has(key))
      throw source.error(word.at, `--mount: ${JSON.stringify(field)} is not key=value`);
    fields.set(key, equals < 0 ? 'true' : expand(field.slice(equals + 1)));
  }
  return fields;
}

/** RFC 4180: a field with commas in it is quoted as a whole. */
function splitCsv(source: Source, word: Word): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= word.text.length; at += 1) {
    FIELD.lastIndex = at;
    const match = FIELD.exec(word.text);
    if (!match) throw source.error(word.at, '--mount: a quote is not closed, or something follows it');
    fields.push(match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll('""', '"'));
    at += match[0].length;
  }
  return fields;
}

const FIELD = /(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/y;

function makeMount(source: Source, { at }: Word, fields: ReadonlyMap<string, string>): RunMount {
  const fail = (message: string) => source.error(at, `--mount: ${message}`);
  const type = (fields.get('type') ?? 'bind').toLowerCase();
  if (!isType(type)) throw fail(`there is no type ${JSON.stringify(type)}${hint(type, Object.keys(OPTIONS))}`);
  for (const key of fields.keys()) {
    if (key === 'type' || OPTIONS[type].includes(key)) continue;
    throw fail(`${type} has no option ${JSON.stringify(key)}${hint(key, OPTIONS[type])}`);
  }
  const truth = (key: string) => {
    const value = fields.get(key);
    if (value === undefined || TRUE.has(value)) return value === undefined ? undefined : true;
    if (FALSE.has(value)) return false;
    throw fail(`${key} is true or false, not ${JSON.stringify(value)}`);
  };
  const number = (key: string, pattern: RegExp, base: number) => {
    const value = fields.get(key);
    if (value === undefined) return undefined;
    const parsed = Number.parseInt(value, base);
    if (!pattern.test(value) || parsed > 0xffffffff) throw fail(`${JSON.stringify(value)} cannot be the ${key}`);
    return parsed;
  };
  const some = (key: string) => fields.get(key) || undefined;
  const sharing = some('sharing')?.toLowerCase();
  if (sharing !== undefined && !isSharing(sharing))
    throw fail(`sharing is shared, private or locked${hint(sharing, SHARING)}`);
  const size = fields.has('size') ? parseSize(fields.get('size') as string) : undefined;
  if (fields.has('size') && size === undefined)
    throw fail(`${JSON.stringify(fields.get('size'))} is no size, such as 64m`);
  if (type === 'secret' && !some('id') && !some('source') && !some('target'))
    throw fail('a secret needs an id: id=NAME');
  if (type === 'secret' && some('id') && some('source'))
    throw fail('id and source of a secret are the same: give one of them');
  if ((type === 'bind' || type === 'cache' || type === 'tmpfs') && !some('target'))
    throw fail(`a ${type} mount needs target=PATH`);
  const [readonly, readwrite] = [truth('readonly'), truth('readwrite')];
  const mount = {
    type,
    from: some('from'),
    source: some('source'),
    target: some('target'),
    readOnly: readonly ?? (readwrite === undefined ? type !== 'cache' && type !== 'tmpfs' : !readwrite),
    size,
    id: some('id'),
    sharing,
    required: truth('required') ?? false,
    env: fields.get('env'),
    mode: number('mode', /^[0-7]{1,6}$/, 8),
    uid: number('uid', /^\d{1,10}$/, 10),
    gid: number('gid', /^\d{1,10}$/, 10),
    at,
  };
  return Object.fromEntries(Object.entries(mount).filter(([, value]) => value !== undefined)) as unknown as RunMount;
}

const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);
const SHARING = ['shared', 'private', 'locked'] as const;

function isType(text: string): text is Type {
  return Object.hasOwn(OPTIONS, text);
}

function isSharing(text: string): text is (typeof SHARING)[number] {
  return (SHARING as readonly string[]).includes(text);
}

function hint(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? ` (there are ${known.join(', ')})` : `; did you mean ${near}?`;
}

/** Bytes: `64m`, `1.5GiB`; all units are powers of 1024. */
function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  if (!match) return undefined;
  const power = ' kmgtp'.indexOf((match[2] || ' ').toLowerCase());
  return Math.floor(Number(match[1]) * 1024 ** power);
}
