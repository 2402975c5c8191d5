/** ENV and LABEL: `name=value …`, or the old form `name value`, whose value is the whole rest of the line. */
import type { Context } from './context.js';
import type { Pair, Word } from './types.js';
import { splitQuoted, wordAt } from './words.js';

export function parsePairs(context: Context): Pair[] {
  context.flags({});
  const rest = context.needed('name=value');
  const words = splitQuoted(rest, context.escape);
  if (!words[0]?.text.includes('=')) return [oldForm(context)];
  return words.map((word) => splitPair(context, word));
}

function splitPair(context: Context, word: Word): Pair {
  const equals = word.text.indexOf('=');
  if (equals < 0) {
    const hint = 'a value with spaces is quoted: name="a b"';
    throw context.source.error(word.at, `${JSON.stringify(word.text)} is not name=value (${hint})`);
  }
  if (equals === 0) throw context.source.error(word.at, 'a name is missing before the "="');
  const at = { line: word.at.line, column: word.at.column + equals + 1 };
  return { key: { text: word.text.slice(0, equals), at: word.at }, value: { text: word.text.slice(equals + 1), at } };
}

function oldForm(context: Context): Pair {
  const { rest } = context;
  const match = /^(\S+)\s+(?=\S)/.exec(rest.text);
  const key = wordAt(rest, 0, match?.[1] ?? rest.text);
  if (!match) throw context.source.error(key.at, `${context.name} needs a value: ${key.text}=…`);
  context.warn(
    'LegacyKeyValueFormat',
    `${context.name} name=value is the form to use, not ${context.name} name value`,
    key.at,
  );
  return { key, value: wordAt(rest, match[0].length, rest.text.slice(match[0].length)) };
}
