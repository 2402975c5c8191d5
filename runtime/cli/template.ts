/**
 * `--format '{{.Repository}}:{{.Tag}}'`: the little of Go's templates that people write after `docker images --format`. Fields by their names, also within others
 * (`.Config.Env`), and `json`. https://pkg.go.dev/text/template
 */
import { TareError } from '../kernel/error.js';
import { json, printable } from './print.js';

export type Fields = Readonly<Record<string, unknown>>;

/** A line for each of `all`. @throws TareError `usage` for a field that there is not, and what this is too little for */
export function formatTemplate(template: string, all: readonly Fields[]): string {
  const parts = parse(template);
  return all
    .map((fields) => parts.map((part) => (typeof part === 'string' ? part : part(fields))).join(''))
    .map((line) => `${line}\n`)
    .join('');
}

/** It has a place for a field, so it is no name of a format. */
export function isTemplate(format: string): boolean {
  return format.includes('{{');
}

type Part = string | ((fields: Fields) => string);

function parse(template: string): Part[] {
  const parts: Part[] = [];
  // As the shell passes it on: `\t` and `\n` stand for themselves.
  const text = template.replace(/^table /, '').replace(/\\([tn])/g, (_, c) => (c === 't' ? '\t' : '\n'));
  let at = 0;
  for (const match of text.matchAll(/\{\{-?(.*?)-?\}\}/gs)) {
    parts.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    const [, asJson, path] = /^\s*(json\s+)?((?:\.\w+)+|\.)\s*$/.exec(match[1] as string) ?? [];
    if (path === undefined)
      throw new TareError(
        'usage',
        `--format: ${match[0]} is more than Tare’s templates have: {{.Field}} and {{json .Field}}; --json gives everything`,
      );
    parts.push((fields) => {
      const value = valueAt(fields, path);
      if (asJson !== undefined || path === '.') return json(value, 0).trimEnd();
      return typeof value === 'string' ? printable(value) : value === undefined ? '' : json(value, 0).trimEnd();
    });
  }
  return [...parts, text.slice(at)];
}

/** What a field does not say is nothing; that there is no such field is said. */
function valueAt(fields: Fields, path: string): unknown {
  const names = path.split('.').filter((name) => name !== '');
  const [first] = names;
  if (first !== undefined && !Object.hasOwn(fields, first))
    throw new TareError(
      'usage',
      `--format: there is no field ${JSON.stringify(first)}; there are ${Object.keys(fields).join(', ')}`,
    );
  return names.reduce<unknown>(
    (value, name) => (isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined),
    fields,
  );
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
