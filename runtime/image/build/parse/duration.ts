/** Durations as Go writes them, for HEALTHCHECK: `30s`, `1m30s`, `1.5h`, `100ms`. https://pkg.go.dev/time#ParseDuration */

const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** In nanoseconds; undefined when it is no duration, or longer than 292 years. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(?:\d{1,18}(?:\.\d{0,18})?(?:ns|us|µs|μs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/([\d.]+)([a-zµμ]+)/g))
    sum += Number(count) * (UNITS[unit as string] ?? 0);
  return sum > 9.2e18 ? undefined : Math.round(sum);
}
