/**
 * What a limit becomes: a file of a cgroup with its value. And what it becomes where that cannot be: the caller is told, by the
 * field's name, either that the limit does not hold (`unenforced`) or that it never had a meaning here (`ignored`).
 */
import type { Unrealised } from './types.js';

export interface Setting {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** The config field: `linux.resources.memory.limit`. */
  readonly field: string;
  /** Not every kernel has the file. This tells, where no cgroup can be looked at, whether it will be there. */
  readonly optional?: Presence;
  /** Where the file is missing: what is written then, or that nothing is lost. Else the field is reported as unenforced. */
  readonly otherwise?: Setting | 'nothing';
}

export type Presence =
  /** Since this kernel. */
  | { readonly since: readonly [major: number, minor: number] }
  /** There with another file or directory of the machine. */
  | { readonly with: string }
  /** There with another file of the hierarchy's root. */
  | { readonly withRoot: string };

/** What one controller makes of its part of the limits. */
export interface Part {
  readonly settings: readonly Setting[];
  readonly unenforced?: readonly Unrealised[];
  readonly ignored?: readonly Unrealised[];
}

export const BASE = 'linux.resources';

/** A function that makes settings of one controller. */
export function settingsOf(controller: string, section: string) {
  return (
    file: string,
    name: string,
    value: string | number,
    more: Pick<Setting, 'optional' | 'otherwise'> = {},
  ): Setting => ({
    controller,
    file: `${controller}.${file}`,
    value: typeof value === 'number' ? decimal(value) : value,
    field: `${BASE}.${section}.${name}`,
    ...more,
  });
}

/** -1 is no limit: `max` on version 2. */
export function maxOr(value: number): string {
  return value < 0 ? 'max' : decimal(value);
}

/** Without an exponent, and 2^64, which is what JSON makes of the largest number of 64 bits, as that number. */
function decimal(value: number): string {
  return value >= 2 ** 64 ? String(2n ** 64n - 1n) : BigInt(value).toString();
}

/** The setting for what is there: itself, another in its place, `nothing`, or undefined where it cannot be had. */
export function firstOffered(
  setting: Setting,
  isThere: (setting: Setting) => boolean,
): Setting | 'nothing' | undefined {
  if (isThere(setting)) return setting;
  const { otherwise } = setting;
  return otherwise === undefined || otherwise === 'nothing' ? otherwise : firstOffered(otherwise, isThere);
}
