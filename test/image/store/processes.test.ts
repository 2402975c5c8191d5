/** Several processes and programs at one store: one writes what all want, and what others write is read. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadImage } from '../../../runtime/image/image.js';
import { familiarName } from '../../../runtime/image/reference.js';
import { removeImage } from '../../../runtime/image/remove.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { makeImage, makeLayer, putImage, writeLayout } from '../../harness/images.js';
import { buildProgram, endOf } from '../snapshot/program.js';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tare-processes-'));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

it('of several processes that want a blob one writes it, and the others get it', async () => {
  using program = await buildProgram('test/image/store/once.ts');
  const ends = await Promise.all(Array.from({ length: 4 }, () => endOf(program.start(root))));
  expect(ends.map(({ output }) => output).sort()).toEqual([
    'found 1048576\n',
    'found 1048576\n',
    'found 1048576\n',
    'written 1048576\n',
  ]);
  expect(readdirSync(join(root, 'ingest'))).toEqual([]);
});

describe('skopeo', () => {
  const skopeo = (...words: string[]) => {
    const { status, stdout, stderr } = spawnSync('skopeo', ['--insecure-policy', ...words], { encoding: 'utf8' });
    expect(stderr).not.toMatch(/level=(error|fatal)/);
    expect(status).toBe(0);
    return stdout;
  };
  const [mine, theirs] = ['mine', 'theirs'].map((text) =>
    makeImage([makeLayer([{ path: 'file', content: text }])]),
  ) as [ReturnType<typeof makeImage>, ReturnType<typeof makeImage>];

  it('adds an image to the store, which is found, verified and removed', async () => {
    using store = await ImageStore.open(join(root, 'images'));
    await putImage(store, mine, 'mine');
    writeLayout(join(root, 'layout'), [{ name: 'latest', image: theirs }]);
    skopeo('copy', `oci:${join(root, 'layout')}:latest`, `oci:${store.root}:quay.io/their/image:1`);
    expect(
      store.names
        .list()
        .map(({ reference }) => reference && familiarName(reference))
        .sort(),
    ).toEqual(['mine:latest', 'quay.io/their/image:1']);
    expect(loadImage(store, 'quay.io/their/image:1').id).toBe(theirs.id);
    await store.collectGarbage();
    expect((await store.verify()).problems).toEqual([]);
    expect(loadImage(store, theirs.id.slice(7, 19)).manifest.layers).toHaveLength(1);
    await removeImage(store, 'quay.io/their/image:1');
    await removeImage(store, 'mine');
    expect(store.names.list()).toEqual([]);
  });

  it('reads an image of the store by its name', async () => {
    using store = await ImageStore.open(join(root, 'images'));
    await putImage(store, mine, 'localhost:5000/mine:2');
    const raw = skopeo('inspect', '--config', `oci:${store.root}:localhost:5000/mine:2`);
    expect(JSON.parse(raw)).toMatchObject({ rootfs: mine.config.rootfs });
    skopeo('copy', `oci:${store.root}:localhost:5000/mine:2`, `dir:${join(root, 'copy')}`);
    expect(readdirSync(join(root, 'copy'))).toContain(mine.layers[0]?.descriptor.digest.slice(7));
  });
});
