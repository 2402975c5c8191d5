/** "Did you mean …?": the word of a list that is nearest to a misspelt one. */
import { edits } from '../kernel/edits.js';

/** Undefined when none is near: more than two edits, or more than half of the word. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_WORD) return undefined;
  const ranked = known
    .filter((candidate) => Math.abs(candidate.length - word.length) <= 2)
    .map((candidate) => ({ candidate, distance: edits(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.min(2, Math.floor(word.length / 2)) ? best.candidate : undefined;
}

/** A longer one is no word that somebody has misspelt. */
const MAX_WORD = 60;
