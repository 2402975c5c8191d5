/** `tare-oci list`: the containers of one state root. */
import { existsSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { Container } from '../../container/index.js';
import { TareError } from '../../kernel/error.js';
import { formatTable, print } from '../print.js';
import type { OciContext } from './context.js';
import { warning } from './log.js';
import { asRuncHasIt } from './state.js';

export function listCommand(context: OciContext): Command {
  return new Command('list')
    .option('-f, --format <format>', 'table or json', 'table')
    .option('-q, --quiet', 'ids only')
    .action(({ format, quiet }: { format: string; quiet?: boolean }) => {
      if (format !== 'table' && format !== 'json')
        throw new TareError('usage', `--format is table or json, not "${format}"`);
      // A root that was named must be there; Tare's own place is made by the first container.
      if (context.globals.root !== undefined && !existsSync(context.globals.root))
        throw new TareError('not-found', `there is no folder ${context.globals.root}`, { path: context.globals.root });
      const found = Container.states(context.root, ({ message }) => warning(context.globals, message));
      if (quiet) return print(found.map(({ state }) => `${state.id}\n`).join(''));
      const states = found.map(({ state }) => ({ ...asRuncHasIt(state), owner: ownerOf(context.root, state.id) }));
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
  return (uid === process.geteuid?.() ? userName() : undefined) ?? `#${uid}`;
}

/** undefined of whom /etc/passwd does not have. */
function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
