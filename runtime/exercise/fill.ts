/**
 * Vars: values drawn for each attempt, so that an answer cannot be copied from a neighbour. `{{name}}` stands for a var in
 * the text, the prompts, the hints and all scripts of an exercise; there is no other way to reach one.
 */
import { randomInt } from 'node:crypto';
import { TareError } from '../kernel/error.js';

export type Vars = Readonly<Record<string, string>>;

/** One of the choices for each var. */
export function drawVars(choices: Readonly<Record<string, readonly string[]>>): Vars {
  return Object.fromEntries(
    Object.entries(choices).map(([name, values]) => [name, values[randomInt(values.length)] as string]),
  );
}

/** Replaces each `{{name}}`. @throws TareError `config` for a name that is no var. */
export function fillVars(text: string, vars: Vars): string {
  return text.replace(/\{\{([^{}]*)\}\}/g, (whole, name: string) => {
    const value = vars[name.trim()];
    if (value === undefined) throw new TareError('config', `${whole} is not a var of this exercise`, { path: whole });
    return value;
  });
}

/** The names that a text refers to. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(/\{\{([^{}]*)\}\}/g)].map((match) => (match[1] as string).trim());
}
