/** The addon, compiled with AddressSanitizer and UndefinedBehaviorSanitizer, in a Node of its own. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';

const addon = join(packageRoot(), 'dist/native/asan/tare.node');

it.for([
  ['as it should be, and wrongly', 'exercise-addon.cjs'],
  ['with anything', 'fuzz-addon.cjs'],
])('the addon touches no memory that is not its own when it is called %s', async ([, script], ctx) => {
  if (!existsSync(addon)) ctx.skip(`${addon} has not been built: make -C native asan`);
  const libraries = ['libasan.so', 'libubsan.so', 'libstdc++.so.6'].map((name) =>
    execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim(),
  );
  if (!libraries.every((path) => existsSync(path))) ctx.skip('g++ has no libasan here');
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', fileURLToPath(new URL(script as string, import.meta.url))],
    {
      env: {
        ...process.env,
        TARE_ADDON: addon,
        LD_PRELOAD: libraries.join(' '),
        // V8 keeps memory until the process ends; that is no leak of ours.
        ASAN_OPTIONS: 'detect_leaks=0',
      },
    },
  );
  expect(`${stdout}${stderr}`).toBe('done\n');
});
