/** Options that may be given several times. https://github.com/tj/commander.js#custom-option-processing */

/** For commander: all values of an option, in the order in which they were given. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
