/** A layer passes through: what a process needs to unpack one does not grow with it. test/bench/unpack.ts does the same with 2 GB. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { packageRoot } from '../../../runtime/kernel/places.js';
import { END, entry, inFolder } from './support.js';

const program = join(packageRoot(), 'dist/test/bench/unpack-memory.js');
const MIB = 2 ** 20;

it('a layer of 512 MB is unpacked within 200 MB of memory', (ctx) => {
  if (!existsSync(program)) ctx.skip(`${program} has not been built: node scripts/build.mjs runtime`);
  return inFolder((root, folder) => {
    const size = 512 * MIB;
    const random = Buffer.concat(Array.from({ length: 4096 }, (_, i) => createHash('sha512').update(`${i}`).digest()));
    const content = Buffer.alloc(32 * MIB, random);
    const member = gzipSync(content, { level: 1 });
    const packed = [
      gzipSync(entry({ name: 'large', size }).subarray(0, 512)),
      ...Array<Buffer>(16).fill(member),
      gzipSync(END),
    ];
    writeFileSync(join(folder, 'layer.gz'), Buffer.concat(packed));
    const peak = Number(
      execFileSync(process.execPath, [program, join(folder, 'layer.gz'), root], { encoding: 'utf8' }),
    );
    expect(statSync(join(root, 'large')).size).toBe(size);
    expect(peak).toBeGreaterThan(10_000);
    expect(peak / 1024).toBeLessThan(200);
  });
});
