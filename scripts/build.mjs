// Compiles TypeScript to dist/: `build.mjs` all of it, `build.mjs runtime` or `build.mjs client` one part.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './setup.mjs';

const parts = process.argv.length > 2 ? process.argv.slice(2) : ['runtime', 'client'];
if (parts.includes('runtime')) {
  run('node', ['scripts/generate-steps.mjs']);
  run('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json']);
  program('tare', '../runtime/cli/main.js');
  program('tare-oci', '../runtime/cli/oci.js');
}
if (parts.includes('client')) run('node_modules/.bin/vite', ['build', 'web-lab/client']);

/** An executable of dist/bin: it hands over to the command line's `main`. */
function program(name, module) {
  const folder = join(ROOT, 'dist/bin');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, `#!/usr/bin/env node\nimport { main } from '${module}';\nawait main(process.argv);\n`);
  // Node takes a file without an ending as the nearest package.json says: a module.
  chmodSync(path, 0o755);
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
