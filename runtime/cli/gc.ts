/** `tare gc`: removes what commands that were killed left behind. */
import { Command } from 'commander';
import { collectGarbage } from '../container/index.js';
import { stateRoot } from '../kernel/places.js';
import { print } from './print.js';
import { warn } from './report-error.js';

export function gcCommand(): Command {
  return new Command('gc').action(async () => {
    const removed = await collectGarbage(stateRoot(), ({ message }) => warn('tare', message));
    await print(removed.length === 0 ? 'nothing was left behind\n' : `removed ${removed.join(', ')}\n`);
  });
}
