/** The distance of two words. */
import { expect, it } from 'vitest';
import { edits } from '../../runtime/kernel/edits.js';

it.each<[string, string, number]>([
  ['', '', 0],
  ['', 'abc', 3],
  ['run', 'run', 0],
  ['run', 'runn', 1],
  ['cpoy', 'copy', 1],
  ['copy', 'cop', 1],
  ['kitten', 'sitting', 3],
  ['ab', 'ba', 1],
  ['abcdef', 'badcfe', 3],
])('%j to %j is %i, both ways', (a, b, expected) => {
  expect([edits(a, b), edits(b, a)]).toEqual([expected, expected]);
});
