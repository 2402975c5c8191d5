/** Commands that are loaded only when they are asked for: of all others their name and a line about them is enough. */
import type { Command } from 'commander';

export interface Entry {
  readonly name: string;
  readonly description: string;
  /** Gives the command with its options and its action. `words`: what follows its name on the command line. */
  load(words: readonly string[]): Promise<Command>;
}

/**
 * Gives `parent` its commands; the one that `words` ask for is loaded.
 * @returns its name; undefined when none is asked for, or there is none of that name
 */
export async function addCommands(
  parent: Command,
  entries: readonly Entry[],
  words: readonly string[],
  valued: readonly string[] = [],
): Promise<string | undefined> {
  const at = commandAt(words, valued);
  const wanted = at === undefined ? undefined : words[at];
  for (const entry of entries) {
    const isAsked = entry.name === wanted;
    const command = isAsked ? await entry.load(words.slice((at as number) + 1)) : parent.createCommand(entry.name);
    parent.addCommand(command.name(entry.name).description(entry.description));
  }
  // Help is about a command that there is; else --help would hide that there is none.
  if (wanted !== undefined && !entries.some(({ name }) => name === wanted)) parent.helpOption(false);
  return wanted;
}

/** Where the first word is that is neither an option nor the value of one of `valued`; after `help`, the word that follows. */
function commandAt(words: readonly string[], valued: readonly string[]): number | undefined {
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (valued.includes(word)) i++;
    else if (!word.startsWith('-')) return word !== 'help' ? i : i + 1 < words.length ? i + 1 : undefined;
  }
  return undefined;
}
