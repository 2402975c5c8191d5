/**
 * skopeo and umoci: the store itself is a layout that they read and write, they take every archive that Tare writes, and what umoci unpacks is equal
 * to what Tare unpacks, in everything that a file system keeps.
 */
import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadArchive, saveArchive } from '../../../runtime/image/archive/index.js';
import { loadImage } from '../../../runtime/image/image.js';
import { ImageStore } from '../../../runtime/image/store/index.js';
import { DEBIAN, putDebian } from '../../harness/debian.js';
import { putImage } from '../../harness/images.js';
import { describeTree, diffTrees } from '../../harness/tree.js';
import { LINK_TO_BELOW, richImages, treeOf } from './unpacked.js';

const images = richImages();
const FULL = 'docker.io/library/rich:2';
const run = (...[program = '', ...args]: string[]) =>
  execFileSync(program, args, { encoding: 'utf8', maxBuffer: 64 << 20, stdio: ['ignore', 'pipe', 'pipe'] });

describe('skopeo and umoci', { timeout: 600_000 }, () => {
  let folder: string;
  let store: ImageStore;
  let layout: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tare-interop-'));
    layout = join(folder, 'images');
    store = await ImageStore.open(layout);
    await putImage(store, images.one, 'rich:1');
    await putImage(store, images.two, 'rich:2');
    await putDebian(store);
  }, 600_000);
  afterAll(() => {
    store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('the store is a layout that skopeo reads', () => {
    const { Layers, Env } = JSON.parse(run('skopeo', 'inspect', `oci:${layout}:${FULL}`));
    expect(Layers).toEqual(images.two.layers.map(({ descriptor }) => descriptor.digest));
    expect(Env).toEqual(['A=b']);
    run('skopeo', 'copy', '-q', `oci:${layout}:${FULL}`, `dir:${join(folder, 'dir')}`);
  });

  it('skopeo copies into the store, and Tare has it', async () => {
    run('skopeo', 'copy', '-q', `oci:${layout}:${FULL}`, `oci:${layout}:localhost/copied:1`);
    expect(loadImage(store, 'localhost/copied:1').config).toEqual(images.two.config);
    await putImage(store, images.one, 'after:1');
    expect(loadImage(store, 'localhost/copied:1').id).toBe(loadImage(store, 'rich:2').id);
    expect(diffTrees(await treeOf(store, 'localhost/copied:1'), await treeOf(store, 'rich:2'))).toEqual([]);
  });

  it.each(['docker', 'oci'] as const)(
    'skopeo takes the %s archive, and Tare takes what skopeo makes of it',
    async (format) => {
      const path = join(folder, `${format}.tar`);
      await saveTo(path, ['rich:2'], format);
      const source = format === 'docker' ? `docker-archive:${path}:rich:2` : `oci-archive:${path}:${FULL}`;
      for (const [kind, name] of [
        ['docker-archive', 'localhost/by-skopeo:docker'],
        ['oci-archive', 'localhost/by-skopeo:oci'],
      ] as const) {
        const copy = join(folder, `${format}-${kind}.tar`);
        run('skopeo', 'copy', '-q', source, `${kind}:${copy}:${name}`);
        await loadArchive(store, createReadStream(copy));
        const loaded = loadImage(store, name);
        expect(loaded.config.rootfs).toEqual(images.two.config.rootfs);
        expect(loaded.config.config).toEqual(images.two.config.config);
      }
    },
  );

  it.each([
    ['an image of one layer', 'docker.io/library/rich:1'],
    ['an image of two, with whiteouts', FULL],
    ['Debian', DEBIAN],
  ])('umoci unpacks %s as Tare does', async (_, name) => {
    const bundle = mkdtempSync(join(folder, 'bundle-'));
    // umoci takes what is after the first colon for the name.
    run('umoci', 'unpack', '--image', `${layout}:${name}`, join(bundle, 'b'));
    const [ours, theirs] = [await treeOf(store, name), describeTree(join(bundle, 'b/rootfs'))];
    expect(ours.size).toBeGreaterThan(10);
    const ignore = (path: string, field: string) =>
      // umoci unpacks into the root after it has given it its time.
      (path === '.' && field === 'mtimeNs') || (path === LINK_TO_BELOW && field === 'sameAs');
    expect(diffTrees(ours, theirs, { ignore })).toEqual([]);
    rmSync(bundle, { recursive: true });
  });

  async function saveTo(path: string, names: string[], format: 'docker' | 'oci'): Promise<void> {
    const file = createWriteStream(path);
    await saveArchive(
      store,
      names,
      format,
      (chunk) => new Promise((done, failed) => file.write(chunk, (error) => (error ? failed(error) : done()))),
    );
    await new Promise((done) => file.end(done));
  }
});
