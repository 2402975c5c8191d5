/** Commands about images that have the same name and words with `image` before them and without: `tare image save`, `tare save`. */
import type { Entry } from '../lazy.js';

export const IN_BOTH: readonly Entry[] = [
  {
    name: 'pull',
    description: 'Get an image from a registry',
    load: async () => (await import('./pull.js')).pullCommand(),
  },
  {
    name: 'push',
    description: 'Give an image to a registry',
    load: async () => (await import('./push.js')).pushCommand(),
  },
  {
    name: 'build',
    description: 'Build an image from a Dockerfile',
    load: async () => (await import('../build.js')).buildCommand(),
  },
  {
    name: 'tag',
    description: 'Give an image another name',
    load: async () => (await import('./tag.js')).tagCommand(),
  },
  {
    name: 'history',
    description: 'Show how an image came about',
    load: async () => (await import('./history.js')).historyCommand(),
  },
  {
    name: 'save',
    description: 'Write images to an archive',
    load: async () => (await import('./save.js')).saveCommand(),
  },
  {
    name: 'load',
    description: 'Read images from an archive',
    load: async () => (await import('./load.js')).loadCommand(),
  },
  {
    name: 'import',
    description: 'Make an image of a root file system',
    load: async () => (await import('./import.js')).importCommand(),
  },
];
