/** Sizes as people write them: `64m`, `1g`, `512KiB`. */
import { TareError } from '../kernel/error.js';

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** In bytes. @param option whose value it is @throws TareError `usage` */
export function parseSize(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)([bkmgt]?)(?:i?b)?$/i.exec(text);
  const bytes = Math.floor(Number(match?.[1]) * (UNITS[match?.[2]?.toLowerCase() ?? ''] ?? 1));
  if (!match || !Number.isSafeInteger(bytes) || bytes < 1) {
    throw new TareError('usage', `${option} ${text}: must be a size such as 64m or 1g`);
  }
  return bytes;
}
