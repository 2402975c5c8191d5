/** The decoder under libFuzzer, from real plans: no bytes make it read outside them or crash. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { malformed } from './malformed.js';
import { planBytes, step } from './plan-bytes.js';

const SECONDS = 10;

it('accepts or refuses, and never crashes', async (ctx) => {
  const fuzzer = join(packageRoot(), 'dist/native/fuzz/plan');
  if (!existsSync(fuzzer))
    ctx.skip('dist/native/fuzz/plan is not built: make -C native fuzz needs clang and libclang-rt-dev');
  const folder = mkdtempSync(join(tmpdir(), 'tare-fuzz-'));
  try {
    const corpus = join(folder, 'corpus');
    mkdirSync(corpus);
    for (const [name, plan] of malformed(() => step('umask', [0])))
      writeFileSync(join(corpus, name.replaceAll(/\W/g, '-')), planBytes(plan));
    const seeds = readdirSync(corpus).length;
    const args = [`-max_total_time=${SECONDS}`, '-max_len=2048', '-timeout=10', '-print_final_stats=1', corpus];
    const { stderr } = await promisify(execFile)(fuzzer, args, { cwd: folder, maxBuffer: 64 << 20 });
    expect(Number(/number_of_executed_units: (\d+)/.exec(stderr)?.[1])).toBeGreaterThan(1000);
    // It has come further than its seeds did.
    expect(readdirSync(corpus).length).toBeGreaterThan(seeds);
    expect(readdirSync(folder)).toEqual(['corpus']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
