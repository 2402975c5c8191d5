/** Names that somebody may have meant: within two edits, or beginning alike. */
import { edits } from '../kernel/edits.js';

/** At most three of the candidates, nearest first. */
export function nearest(name: string, candidates: readonly string[]): string[] {
  return candidates
    .map((candidate) => ({ candidate, distance: edits(name, candidate) }))
    .filter(({ candidate, distance }) => distance <= 2 || (name.length >= 3 && candidate.includes(name)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}
