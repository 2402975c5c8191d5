/** A config.json with one thing wrong, anywhere: it is read to its end, and what is taken stays what it is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exactJson, parseExactJson } from '../../runtime/kernel/exact-json.js';
import { checkConfig } from '../../runtime/oci/index.js';
import { everything } from './everything.js';

type Steps = readonly (string | number)[];

/** Every place in a document. */
function places(value: unknown, at: Steps = []): Steps[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [
    at,
    ...Object.entries(value).flatMap(([name, item]) =>
      places(item, [...at, Array.isArray(value) ? Number(name) : name]),
    ),
  ];
}

function replaced(value: unknown, [step, ...rest]: Steps, other: unknown): unknown {
  if (step === undefined) return other;
  const copy: Record<string | number, unknown> = Array.isArray(value)
    ? ([...value] as never)
    : { ...(value as object) };
  copy[step] = replaced(copy[step], rest, other);
  return copy;
}

const PLACES = places(everything());
const anything = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    -1,
    0,
    0.5,
    2 ** 31,
    2 ** 32,
    2 ** 64,
    2n ** 64n - 1n,
    2n ** 64n,
    1e300,
    '',
    '/',
    '..',
    '0-',
    'a\0b',
    true,
    [],
    {},
    [null],
    [[]],
    { '': '' },
    { __proto__: null },
  ),
  fc.jsonValue(),
);

describe('a config.json with something else in one place', () => {
  it('is taken as it is, or told by a path below that place or beside it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PLACES), anything, (at, other) => {
        const { config, faults } = checkConfig(replaced(everything(), at, other));
        for (const { path, message } of faults) {
          expect(path.split(/[.[]/)[0]).toSatisfy((top: string) => top === '' || top in everything());
          expect(message).not.toMatch(/undefined|\[object|\n/);
        }
        if (faults.length > 0) return;
        // What is kept of it is the same when it is read again.
        const kept = parseExactJson(exactJson(config));
        expect(kept).toEqual(config);
        expect(checkConfig(kept)).toEqual({ config, faults: [] });
      }),
      { numRuns: 1000 },
    );
  });
});
