/** Imports go downward only: each folder may import those on the floors below it, and nothing above. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';

/** Lowest first; folders on one line stand side by side and may not import each other. */
const FLOORS: readonly (readonly string[])[] = [
  ['runtime/kernel'],
  ['runtime/inspect'],
  ['runtime/oci'],
  ['runtime/plan'],
  ['runtime/container'],
  ['runtime/vm'],
  ['runtime/image'],
  ['runtime/exercise'],
  ['runtime/cli'],
  ['chapters', 'exercises', 'web-lab'],
];

const root = packageRoot();

describe('imports', () => {
  const files = FLOORS.flat().flatMap((folder) => sources(join(root, folder)));

  it('finds the sources', () => {
    expect(files.length).toBeGreaterThan(50);
  });

  it('go downward only', () => {
    expect(files.flatMap((file) => imports(file).flatMap((target) => fault(file, target)))).toEqual([]);
  });

  it('tells an upward import from a downward one', () => {
    expect(fault(join(root, 'runtime/kernel/a.ts'), join(root, 'runtime/plan/b.js'))).toHaveLength(1);
    expect(fault(join(root, 'runtime/plan/a.ts'), join(root, 'runtime/kernel/b.js'))).toHaveLength(0);
    expect(fault(join(root, 'runtime/plan/a.ts'), join(root, 'test/harness/world.js'))).toHaveLength(1);
  });

  it('system calls that Node offers are made in runtime/kernel only: nobody else loads the addon', () => {
    const others = files.filter((file) => !file.startsWith(join(root, 'runtime/kernel')));
    expect(
      others
        .filter((file) =>
          /nativeFile\('tare\.node'\)|process\.dlopen|require\([^)]*\.node/.test(readFileSync(file, 'utf8')),
        )
        .map((file) => relative(root, file)),
    ).toEqual([]);
  });
});

function floorOf(path: string): number {
  return FLOORS.findIndex((floor) => floor.some((folder) => relative(root, path).startsWith(`${folder}/`)));
}

function fault(file: string, target: string): string[] {
  const from = floorOf(file);
  const to = floorOf(target);
  const sameFolder = FLOORS[from]?.find((folder) => relative(root, file).startsWith(`${folder}/`));
  if (to >= 0 && (to < from || (sameFolder && relative(root, target).startsWith(`${sameFolder}/`)))) return [];
  return [`${relative(root, file)} imports ${relative(root, target)}`];
}

/** Where the relative imports of a file lead; packages by name are no concern here. */
function imports(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g)]
    .map((match) => resolve(dirname(file), match[1] as string))
    .filter((target) => !target.endsWith('.css') && target !== join(root, 'package.json'));
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}
