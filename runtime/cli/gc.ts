/** `tare gc`: removes what commands that were killed left behind. */
import { Command } from 'commander';
import { collectGarbage } from '../container/index.js';
import { collectFolders } from '../image/run/leftover.js';
import { stateRoot } from '../kernel/places.js';
import { print } from './print.js';
import { warn } from './report-error.js';

export function gcCommand(): Command {
  return new Command('gc').action(async () => {
    const removed = await collectGarbage(stateRoot(), ({ message }) => warn('tare', message));
    const folders = await collectFolders();
    const more = folders > 0 ? [`${folders} ${folders === 1 ? 'folder' : 'folders'} of containers`] : [];
    const all = [...removed, ...more];
    await print(all.length === 0 ? 'nothing was left behind\n' : `removed ${all.join(', ')}\n`);
  });
}
