/** `tare image ...`: what can be done with images, by names of their own; the commonest have short forms (`tare pull`, `tare rmi`). */
import { Command } from 'commander';
import { IN_BOTH } from './image/short.js';
import { addCommands, type Entry } from './lazy.js';

const COMMANDS: readonly Entry[] = [
  {
    name: 'ls',
    description: 'List images',
    load: async () => (await import('./image/images.js')).imagesCommand(),
  },
  {
    name: 'inspect',
    description: 'Print everything that is known about images',
    load: async () => (await import('./image/inspect.js')).inspectImageCommand(),
  },
  {
    name: 'rm',
    description: 'Remove names, and the images that have none left',
    load: async () => (await import('./image/rmi.js')).rmiCommand(),
  },
  ...IN_BOTH,
  {
    name: 'referrers',
    description: 'List what a registry has that refers to an image: signatures …',
    load: async () => (await import('./image/referrers.js')).referrersCommand(),
  },
  {
    name: 'bootstrap',
    description: 'Make a base image from Debian packages',
    load: async () => (await import('./image/bootstrap.js')).bootstrapCommand(),
  },
  {
    name: 'verify',
    description: 'Check every byte of the store',
    load: async () => (await import('./image/verify.js')).verifyCommand(),
  },
  {
    name: 'prune',
    description: 'Remove what nothing uses, and say how many bytes that frees',
    load: async () => (await import('./image/prune.js')).pruneCommand(),
  },
  {
    name: 'layers',
    description: 'Show what each layer changed, and which of its bytes are wasted',
    load: async () => (await import('./image/layers.js')).layersCommand(),
  },
];

export async function imageCommand(words: readonly string[]): Promise<Command> {
  const image = new Command('image').enablePositionalOptions();
  await addCommands(image, COMMANDS, words);
  return image;
}
