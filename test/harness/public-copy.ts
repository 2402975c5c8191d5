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

export function publicCopy(): PublicCopy {
  const folder = mkdtempSync(join(tmpdir(), 'tare-public-'));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'dist/native'), { recursive: true });
  for (const part of ['package.json', 'dist/bin', 'dist/cli', 'node_modules/commander']) copy(part);
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
