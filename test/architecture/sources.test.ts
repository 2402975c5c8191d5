/** The sources as a whole: strict types, lint and format, and generated files that agree with what they are made from. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';

function run(program: string, ...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: packageRoot(), encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

describe('the sources', () => {
  it.each(['tsconfig.json', 'web-lab/client/tsconfig.json'])('pass the strict type check of %s', (project) => {
    expect(run('node_modules/.bin/tsc', '-p', project)).toMatchObject({
      status: 0,
      output: expect.not.stringContaining('error TS'),
    });
  });

  it('pass lint and format', () => {
    const { status, output } = run('node_modules/.bin/biome', 'check', '--colors=off', '.');
    expect(status, output).toBe(0);
  });

  it('have a steps.gen.ts that agrees with steps.def', () => {
    const { status, output } = run(process.execPath, 'scripts/generate-steps.mjs', '--check');
    expect(status, output).toBe(0);
  });
});
