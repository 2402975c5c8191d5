/** `tare ps`: the containers of this state root, one line each. */
import { writeSync } from 'node:fs';
import { Command } from 'commander';
import { Container } from '../container/index.js';

export function listCommand(): Command {
  return new Command('ps').option('--json', 'for machines').action((options: { json?: boolean }) => {
    const rows = Container.list().map((container) => ({ ...container.state(), created: container.created }));
    if (options.json) {
      writeSync(1, `${JSON.stringify(rows, null, 2)}\n`);
      return;
    }
    const table = [
      ['ID', 'PID', 'STATUS', 'CREATED', 'BUNDLE'],
      ...rows.map((r) => [r.id, `${r.pid ?? '-'}`, r.status, r.created, r.bundle]),
    ];
    const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
    for (const row of table)
      writeSync(
        1,
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
      );
  });
}
