/** `3 weeks ago`, of a time as RFC 3339 has it. */
export function formatAge(time: string | undefined, now = Date.now()): string {
  const then = time === undefined ? Number.NaN : Date.parse(time);
  if (Number.isNaN(then)) return 'unknown';
  const seconds = Math.max((now - then) / 1000, 0);
  // What is built to be the same each time has no time of its own.
  if (then <= 0) return 'not said';
  for (const [unit, length] of UNITS) {
    const count = Math.floor(seconds / length);
    if (count >= 1) return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
}

const DAY = 24 * 3600;
const UNITS: readonly (readonly [string, number])[] = [
  ['year', 365 * DAY],
  ['month', 30 * DAY],
  ['week', 7 * DAY],
  ['day', DAY],
  ['hour', 3600],
  ['minute', 60],
];
