/**
 * Tare where everybody may read it. A checkout may lie below a folder that only root can enter, so a test that becomes
 * somebody else runs a copy of the built command line.
 */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../runtime/kernel/places.js';

export interface PublicCopy extends Disposable {
  /** dist/bin/tare of the copy. */
  readonly tare: string;
  /** dist/bin/tare-oci of the copy. */
  readonly tareOci: string;
}

const SQLITE = [
  'better-sqlite3/package.json',
  'better-sqlite3/lib',
  'better-sqlite3/build/Release/better_sqlite3.node',
  'bindings',
  'file-uri-to-path',
];

export function publicCopy(): PublicCopy {
  const folder = mkdtempSync(join(tmpdir(), 'tare-public-'));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'dist/native'), { recursive: true });
  for (const part of ['package.json', 'dist/bin', 'dist/cli', 'node_modules/commander']) copy(part);
  // What the image store needs: its database, without the sources it was built from.
  for (const part of SQLITE) copy(`node_modules/${part}`);
  for (const program of ['tare.node', 'stage', 'init']) copy(join('dist/native', program));
  return {
    tare: join(folder, 'dist/bin/tare'),
    tareOci: join(folder, 'dist/bin/tare-oci'),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };

  function copy(part: string): void {
    cpSync(join(packageRoot(), part), join(folder, part), { recursive: true });
  }
}
