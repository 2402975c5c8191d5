/** `tare-oci list`: the containers of one state root. */
import { statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { Container } from '../../container/index.js';
import { TareError } from '../../kernel/error.js';
import { formatTable, print } from '../print.js';
import type { OciContext } from './context.js';
import { warning } from './log.js';

export function listCommand(context: OciContext): Command {
  return new Command('list')
    .option('-f, --format <format>', 'table or json', 'table')
    .option('-q, --quiet', 'ids only')
    .action(({ format, quiet }: { format: string; quiet?: boolean }) => {
      if (format !== 'table' && format !== 'json')
        throw new TareError('usage', `--format is table or json, not "${format}"`);
      const found = Container.states(context.root, ({ message }) => warning(context.globals, message));
      if (quiet) return print(found.map(({ state }) => `${state.id}\n`).join(''));
      const states = found.map(({ state }) => ({
        ...state,
        pid: state.pid ?? 0,
        owner: ownerOf(context.root, state.id),
      }));
      if (format === 'json') return print(`${JSON.stringify(states)}\n`);
      const rows = states.map((s) => [s.id, `${s.pid}`, s.status, s.bundle, s.created ?? '', s.owner]);
      return print(formatTable([['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'], ...rows]));
    });
}

/** Who made it: the owner of its folder, by name where that is this user, else `#uid` as runc has it for one without a name. */
function ownerOf(root: string, id: string): string {
  const uid = statSync(join(root, id), { throwIfNoEntry: false })?.uid;
  if (uid === undefined) return '';
  if (uid === 0) return 'root';
  return uid === process.geteuid?.() ? userInfo().username : `#${uid}`;
}
