/** `tare ps`: the containers of this state root, one line each. */
import { Command } from 'commander';
import { Container } from '../container/index.js';
import { print } from './print.js';

export function listCommand(): Command {
  return new Command('ps').option('--json', 'for machines').action(async ({ json }: { json?: boolean }) => {
    const rows = Container.list().map((container) => ({ ...container.state(), created: container.created }));
    if (json) return print(`${JSON.stringify(rows, null, 2)}\n`);
    const table = rows.map((r) => [r.id, `${r.pid ?? '-'}`, r.status, r.created, r.bundle]);
    return print(asTable([['ID', 'PID', 'STATUS', 'CREATED', 'BUNDLE'], ...table]));
  });
}

/** Columns as wide as what is in them; the last one may be of any width. */
function asTable(rows: readonly (readonly string[])[]): string {
  const widths =
    rows[0]?.slice(0, -1).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}\n`).join('');
}
