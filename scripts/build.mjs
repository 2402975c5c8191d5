// Compiles TypeScript to dist/: `build.mjs` all of it, `build.mjs runtime` or `build.mjs client` one part.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './setup.mjs';

const parts = process.argv.length > 2 ? process.argv.slice(2) : ['runtime', 'client'];
if (parts.includes('runtime')) {
  run('node', ['scripts/generate-steps.mjs']);
  run('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json']);
  await bundle();
  program('tare', '../cli/main.js');
  program('tare-oci', '../cli/oci.js');
}
if (parts.includes('client')) run('node_modules/.bin/vite', ['build', 'web-lab/client']);

/**
 * dist/cli: the command line in a few files. Loading a hundred small ones takes 0.1 s on a fast machine, and seconds in an
 * emulated one. Exercises stay apart: their checks import the same modules, which are then not loaded twice.
 */
async function bundle() {
  const { build } = await import('rolldown');
  await build({
    cwd: join(ROOT, 'dist/runtime/cli'),
    input: { main: './main.js', oci: './oci.js', 'layer-thread': '../image/snapshot/layer-thread.js' },
    platform: 'node',
    external: ['commander'],
    plugins: [
      {
        name: 'exercises-stay-apart',
        resolveId: (id) => (id === './exercise.js' ? { id: '../runtime/cli/exercise.js', external: true } : null),
      },
    ],
    output: { dir: join(ROOT, 'dist/cli'), format: 'esm', entryFileNames: '[name].js', cleanDir: true },
  });
}

/** An executable of dist/bin: it hands over to the command line's `main`. */
function program(name, module) {
  const folder = join(ROOT, 'dist/bin');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, `#!/usr/bin/env -S node --\nimport { main } from '${module}';\nawait main(process.argv);\n`);
  // After --, as Node 20 would take an --env-file that is ours for its own.
  // Node takes a file without an ending as the nearest package.json says: a module.
  chmodSync(path, 0o755);
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
