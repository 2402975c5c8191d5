/** What `import … from 'tare/…'` gives a program outside of this tree: the faces that package.json names, and an image store that works. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';

const { exports } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
const faces = Object.keys(exports).filter((name) => !name.endsWith('.json'));

/** What the program prints, run by Node as it comes with the system: no TypeScript, no bundle. */
function run(program: string, ...args: string[]): unknown {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', program, '--', ...args],
    {
      cwd: packageRoot(),
      encoding: 'utf8',
    },
  );
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

it.each(faces)('%s is what its source exports', async (face) => {
  const source = (await import(`../../runtime/${face.slice(2)}/index.ts`)) as object;
  const given = run(`console.log(JSON.stringify(Object.keys(await import('tare/${face.slice(2)}'))))`);
  expect(given).toEqual(Object.keys(source).sort());
});

it('tare/image reads an archive into a store, finds it by name and lets it go', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tare-package-'));
  try {
    const program = `
      import { ImageStore, importRootfs, listImages, loadImage, parseReference, prune } from 'tare/image';
      const store = await ImageStore.open(process.argv[1]);
      // The end of an archive: a root with nothing in it.
      await importRootfs(store, (async function* () { yield Buffer.alloc(1024); })(), { names: [parseReference('empty')] });
      const { config, reference } = loadImage(store, 'empty');
      const names = listImages(store).map(({ reference }) => reference.repository);
      await store.names.delete(reference);
      await prune(store, { containers: process.argv[1] + '/containers' });
      console.log(JSON.stringify({ os: config.os, tag: reference.tag, names, left: [...store.content.list()] }));
      store.close();`;
    const seen = { os: 'linux', tag: 'latest', names: ['library/empty'], left: [] };
    expect(run(program, join(folder, 'images'))).toEqual(seen);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
