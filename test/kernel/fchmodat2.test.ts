/** Kernels before 6.6 have no fchmodat2(2): modes are changed by a descriptor then, and never those of what a symbolic link leads to. */
import { openSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { closeAll } from '../../runtime/kernel/fd.js';
import { nativeFile } from '../../runtime/kernel/places.js';
import { PlanBuilder, runPlan } from '../../runtime/plan/index.js';
import { withoutCalls } from '../security/naive.js';
import { withFolder } from './support.js';

it('modes are changed without fchmodat2', () =>
  withFolder(async (folder) => {
    for (const name of ['file', 'other', 'victim']) writeFileSync(join(folder, name), '', { mode: 0o600 });
    symlinkSync('victim', join(folder, 'link'));
    const builder = new PlanBuilder();
    const { program, flags } = withoutCalls(['fchmodat2']);
    builder.outside.seccomp({ flags, filter: program }, 'an older kernel');
    const script = fileURLToPath(new URL('without-fchmodat2.mjs', import.meta.url));
    builder.outside.exec(
      { candidates: [process.execPath], argv: ['node', script, nativeFile('tare.node'), folder], env: [] },
      'the addon alone',
    );
    const stdio: [number, number, number] = [
      openSync('/dev/null', 'r'),
      openSync(join(folder, 'stdout'), 'w'),
      openSync(join(folder, 'stderr'), 'w'),
    ];
    try {
      const status = await runPlan(builder.build(), { stdio }).exited;
      expect(readFileSync(join(folder, 'stderr'), 'utf8')).toBe('');
      expect(status).toBe(0);
    } finally {
      closeAll(stdio);
    }
    expect(readFileSync(join(folder, 'stdout'), 'utf8')).toBe(`${constants.errno.EOPNOTSUPP}\n`);
    const modes = ['file', 'other', 'victim'].map((name) => statSync(join(folder, name)).mode & 0o7777);
    expect(modes).toEqual([0o4711, 0o640, 0o600]);
  }));
