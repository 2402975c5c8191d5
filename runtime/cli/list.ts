/** `tare ps`: the containers of this state root, one line each. */
import { Command } from 'commander';
import { Container } from '../container/index.js';
import { stateRoot } from '../kernel/places.js';
import { formatTable, print } from './print.js';
import { warn } from './report-error.js';

export function listCommand(): Command {
  return new Command('ps').option('--json', 'for machines').action(async ({ json }: { json?: boolean }) => {
    const rows = Container.states(stateRoot(), ({ message }) => warn('tare', message)).map(({ state, created }) => ({
      ...state,
      created,
    }));
    if (json) return print(`${JSON.stringify(rows, null, 2)}\n`);
    const table = rows.map((r) => [r.id, `${r.pid ?? '-'}`, r.status, r.created, r.bundle]);
    return print(formatTable([['ID', 'PID', 'STATUS', 'CREATED', 'BUNDLE'], ...table]));
  });
}
