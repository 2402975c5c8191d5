/**
 * The RAM of a snapshot, held where nobody can change it. QEMU opens its RAM file for writing even when it maps it privately, so a guest
 * that broke out of one QEMU could change what all later machines begin with; a sealed memfd can be opened but not written.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { TareError } from '../kernel/error.js';
import { nativeFile } from '../kernel/places.js';

export interface SealedRam {
  /** To be opened by this process, and passed on as a descriptor. */
  readonly path: string;
  release(): void;
}

/** Copies the file's data (not its holes) into memory, and seals it. Takes about a tenth of a second. */
export async function sealRam(file: string): Promise<SealedRam> {
  const holder = spawn(nativeFile('agent'), ['--seal', file], { stdio: ['pipe', 'pipe', 'pipe'] });
  try {
    const said = await new Promise<string>((resolve, reject) => {
      let output = '';
      let errors = '';
      holder.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.endsWith('\n')) resolve(output.trim());
      });
      holder.stderr.on('data', (chunk: Buffer) => {
        errors += chunk.toString();
      });
      holder.on('error', reject);
      holder.on('close', () =>
        reject(new TareError('machine', `the snapshot cannot be held in memory: ${errors.trim()}`)),
      );
    });
    const fd = openSync(`/proc/${holder.pid}/fd/${Number.parseInt(said, 10)}`, 'r+');
    let open = true;
    const release = () => {
      if (open) closeSync(fd);
      open = false;
    };
    return { path: `/proc/self/fd/${fd}`, release };
  } finally {
    holder.stdin.end(); // it has served: the descriptor that we opened keeps the memory
  }
}
