/**
 * JSON with whole numbers that keep their digits: what a double cannot hold (RLIM_INFINITY, the masks of seccomp arguments,
 * counters of the kernel) is a bigint, where JSON.parse would round it. RFC 8259, section 6, leaves the range to the reader.
 */

/** @throws SyntaxError as JSON.parse does */
export function parseExactJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const marked = text.replace(STRING_OR_NUMBER, (token) => (isLarge(token) ? `{"${MARK}":"${token}"}` : token));
  return JSON.parse(marked, (_name, value: unknown) => {
    const digits = typeof value === 'object' && value !== null && MARK in value ? value[MARK] : undefined;
    return typeof digits === 'string' && isLarge(digits) ? BigInt(digits) : value;
  });
}

/** JSON, with bigints as numbers. A number beyond 2^53 has an exponent, so that it is a number again when it is read. */
export function exactJson(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return Number(value).toExponential();
  if (Array.isArray(value)) return `[${value.map((item) => exactJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${exactJson(item)}`).join(',')}}`;
}

/** Stands for a bigint while a document is text; a document of somebody else has no reason to hold it. */
const MARK = 'tare:integer';

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function isLarge(token: string): boolean {
  return /^-?[1-9]\d{15,}$/.test(token) && !Number.isSafeInteger(Number(token));
}
