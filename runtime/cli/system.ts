/** `tare system ...`: the machine as a whole. */
import { Command } from 'commander';
import { addCommands, type Entry } from './lazy.js';

const COMMANDS: readonly Entry[] = [
  {
    name: 'df',
    description: 'Say how much room images, layers and containers take',
    load: async () => (await import('./image/df.js')).dfCommand(),
  },
  {
    name: 'prune',
    description: 'Remove what nothing uses, as "tare image prune" does',
    load: async () => (await import('./image/prune.js')).pruneCommand(),
  },
];

export async function systemCommand(words: readonly string[]): Promise<Command> {
  const system = new Command('system').enablePositionalOptions();
  await addCommands(system, COMMANDS, words);
  return system;
}
