import { describe, expect, it } from 'vitest';
import { parseJson, stringifyJson } from '../../runtime/oci/index.js';

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
    expect(parseJson(`{"a": [${text}]}`)).toEqual({ a: [value] });
  });

  it('is looked for outside of strings and names only', () => {
    const value = { '"18446744073709551615': '18446744073709551615', b: '\\"18446744073709551615,' };
    expect(parseJson(JSON.stringify(value))).toEqual(value);
  });

  it.each([
    '{]',
    '',
    '{18446744073709551615: 1}',
    '[018446744073709551615]',
    '[18446744073709551615',
    '[1 18446744073709551615]',
  ])('does not make %j a document', (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  });

  it('is written again as it was read', () => {
    const text = stringifyJson({ a: 18446744073709551615n, b: [-9223372036854775808n, 1], c: '18446744073709551615' });
    expect(text).toBe(
      '{\n  "a": 18446744073709551615,\n  "b": [\n    -9223372036854775808,\n    1\n  ],\n  "c": "18446744073709551615"\n}',
    );
    expect(stringifyJson(parseJson(text))).toBe(text);
  });
});
