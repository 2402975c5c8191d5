/** JSON whose whole numbers keep all their digits. */
import { describe, expect, it } from 'vitest';
import { exactJson, parseExactJson } from '../../runtime/kernel/exact-json.js';

describe('a whole number', () => {
  it.each([
    ['18446744073709551615', 18446744073709551615n],
    ['-9223372036854775808', -9223372036854775808n],
    ['9007199254740993', 9007199254740993n],
    ['9007199254740991', 9007199254740991],
    ['1234567890123456', 1234567890123456],
    ['1e20', 1e20],
    ['0.12345678901234567890', 0.12345678901234568],
    ['12345678901234567890.5', 12345678901234567000],
  ])('%s keeps its digits where a double would not', (text, value) => {
    expect(parseExactJson(`{"a": [${text}]}`)).toEqual({ a: [value] });
  });

  it('is not what only looks like how one is marked', () => {
    const value = {
      large: 2n ** 64n,
      a: { 'tare:integer': 'x' },
      b: { 'tare:integer': '7' },
      c: { 'tare:integer': null },
    };
    expect(parseExactJson(exactJson(value))).toEqual(value);
  });

  it('is looked for outside of strings and names only', () => {
    const value = { '"18446744073709551615': '18446744073709551615', b: '\\"18446744073709551615,' };
    expect(parseExactJson(JSON.stringify(value))).toEqual(value);
  });

  it.each([
    '{]',
    '',
    '{18446744073709551615: 1}',
    '[018446744073709551615]',
    '[18446744073709551615',
    '[1 18446744073709551615]',
  ])('does not make %j a document', (text) => {
    expect(() => parseExactJson(text)).toThrow(SyntaxError);
  });

  it('is written again as it was read', () => {
    const text = '{"a":18446744073709551615,"b":[-9223372036854775808,1,null],"c":"18446744073709551615"}';
    expect(exactJson(parseExactJson(text))).toBe(text);
    const rounded = { a: 2 ** 63, b: -(2 ** 64), c: 2n ** 64n - 1n, d: 2 ** 53 - 1, e: 0.5, f: 1e300 };
    expect(parseExactJson(exactJson(rounded))).toEqual(rounded);
    expect(exactJson({ a: undefined, b: [undefined], c: { d: true } })).toBe('{"b":[null],"c":{"d":true}}');
  });
});
