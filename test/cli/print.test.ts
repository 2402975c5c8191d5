/** What commands print of values that others chose: characters that a terminal would obey, and tables of any length. */
import { expect, it } from 'vitest';
import { formatTable, json } from '../../runtime/cli/print.js';

it.each([
  ['a C1 control character (CSI)', '\u009b31m', '\\u009b31m'],
  ['the first and the last of C1', '\u0080\u009f', '\\u0080\\u009f'],
  ['ESC, which JSON escapes itself', '\u001b[31m', '\\u001b[31m'],
  ['DEL', '\u007f', '\\u007f'],
  ['what turns the writing around', '\u202egpj.exe\u2066', '\\u202egpj.exe\\u2066'],
  ['what ends a line', '\u2028\u2029', '\\u2028\\u2029'],
  ['a format character of two UTF-16 units', '\u{e0001}', '\\udb40\\udc01'],
  ['letters of all languages', 'é漢字😀', 'é漢字😀'],
])('JSON has %s', (_name, value, written) => {
  const text = json({ [value]: [value] });
  expect(text).toBe(`{\n  "${written}": [\n    "${written}"\n  ]\n}\n`);
  expect(JSON.parse(text)).toEqual({ [value]: [value] });
});

it('a table has as many rows as an image says', () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => [String(i), 'b']);
  const lines = formatTable([['N', 'LAST'], ...rows, ['longest', 'c']]).split('\n');
  expect(lines).toHaveLength(200_003);
  expect([lines[0], lines[1], lines.at(-2)]).toEqual(['N        LAST', '0        b', 'longest  c']);
});
