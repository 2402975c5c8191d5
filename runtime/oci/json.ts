/**
 * JSON with whole numbers that keep their digits: what a double cannot hold (RLIM_INFINITY, the masks of seccomp arguments)
 * is a bigint, where JSON.parse would round it. RFC 8259, section 6, leaves the range to the reader.
 */

/** @throws SyntaxError as JSON.parse does */
export function parseJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const marked = text.replace(STRING_OR_NUMBER, (token) => (isLarge(token) ? `{"${MARK}":"${token}"}` : token));
  return JSON.parse(marked, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && MARK in value ? BigInt(String(value[MARK])) : value,
  );
}

/** As JSON.stringify with an indent of two, for values that `parseJson` may have made. */
export function stringifyJson(value: unknown): string {
  const text = JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? `${MARK}${one}` : one), 2);
  return text.replace(new RegExp(`"${MARK}(-?\\d+)"`, 'g'), '$1');
}

/** Stands for a bigint while a document is text; a document of somebody else has no reason to hold it. */
const MARK = 'tare:integer:';

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function isLarge(token: string): boolean {
  return /^-?[1-9]\d{15,}$/.test(token) && !Number.isSafeInteger(Number(token));
}
