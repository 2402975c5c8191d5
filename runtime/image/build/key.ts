/**
 * The key of a step: a digest of everything its result depends on, the content of the layers below included (their chain id). Equal keys,
 * equal results, whatever Dockerfile, stage or store they come from.
 */
import { createHash } from 'node:crypto';

export type Keyed =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Keyed[]
  | { readonly [name: string]: Keyed };

/** 64 hexadecimal digits. Changes with the meaning of what is hashed: bump VERSION then. */
export function stepKey(kind: string, what: Keyed): string {
  return createHash('sha256')
    .update(JSON.stringify([VERSION, kind, canonical(what)]))
    .digest('hex');
}

const VERSION = 1;

/** Names in order, undefined left out: two ways to write the same are the same. */
function canonical(value: Keyed): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, one]) => [name, canonical(one)]);
}
