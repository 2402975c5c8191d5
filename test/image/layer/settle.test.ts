/** What a layer leaves to the layers below it: folders that it does not name, links to files that it does not have. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyLayer, settleLayer } from '../../../runtime/image/layer/index.js';
import { TareError } from '../../../runtime/kernel/error.js';
import { closeAll } from '../../../runtime/kernel/fd.js';
import { describeTree, type TreeEntry } from '../../harness/tree.js';
import { archive, folderFd, inFolder, type Made, pieces } from './support.js';

/** Layers, the lowest first, each applied alone and then settled over those below. Gives the tree of the uppermost alone. */
function settled(...layers: readonly (readonly Made[])[]): Promise<ReadonlyMap<string, TreeEntry>> {
  return inFolder(async (_, folder) => {
    const fds: number[] = [];
    try {
      const applied = [];
      for (const [i, layer] of layers.entries()) {
        mkdirSync(join(folder, `${i}`), { mode: 0o700 });
        const fd = folderFd(join(folder, `${i}`)).release();
        fds.push(fd);
        applied.push(await applyLayer(pieces(archive(...layer)), 'none', fd));
      }
      for (const [i, { unsettled }] of applied.entries())
        settleLayer(unsettled, fds[i] as number, fds.slice(0, i).reverse());
      return describeTree(join(folder, `${layers.length - 1}`));
    } finally {
      closeAll(fds);
    }
  });
}

const folder = (name: string, more: Partial<Made> = {}): Made => ({ name: `${name}/`, type: '5', ...more });

describe('a folder that the layer does not name', () => {
  it('is as it is below, the root too', async () => {
    const tree = await settled(
      [
        folder('.', { mode: 0o711, uid: 5, mtime: 11 }),
        folder('etc', { mode: 0o750, uid: 1, gid: 2, mtime: 12, pax: { 'SCHILY.xattr.user.a': 'b' } }),
        folder('etc/deep', { mode: 0o1777, mtime: 13 }),
      ],
      [folder('etc', { mode: 0o700, uid: 9, mtime: 14 })],
      [{ name: 'etc/deep/file' }],
    );
    expect(tree.get('.')).toMatchObject({ mode: 0o711, uid: 5, mtimeNs: 11_000_000_000n });
    expect(tree.get('etc')).toMatchObject({ mode: 0o700, uid: 9, mtimeNs: 14_000_000_000n, xattrs: {} });
    expect(tree.get('etc/deep')).toMatchObject({ mode: 0o1777, mtimeNs: 13_000_000_000n });
  });

  it('is plain where nothing is below, or it is hidden', async () => {
    const plain = { mode: 0o755, uid: 0, mtimeNs: 0n };
    expect((await settled([{ name: 'a/b' }])).get('.')).toMatchObject(plain);
    const tree = await settled(
      [folder('a', { uid: 1 }), folder('a/b', { uid: 1 }), folder('c', { uid: 1 })],
      [{ name: '.wh.c' }],
      [folder('a', { uid: 3 }), { name: 'a/.wh..wh..opq' }, { name: 'a/b/f' }, { name: 'c/f' }],
    );
    expect(tree.get('a')).toMatchObject({ uid: 3 });
    expect(tree.get('a/b')).toMatchObject(plain);
    expect(tree.get('c')).toMatchObject(plain);
  });

  it('and is a symbolic link below leads where the link leads', async () => {
    const tree = await settled(
      [
        folder('usr'),
        folder('usr/lib', { uid: 6, mtime: 21 }),
        folder('usr/lib/x', { uid: 7 }),
        { name: 'lib', type: '2', link: 'usr/lib' },
      ],
      [
        { name: 'lib/x/new' },
        { name: 'lib/.wh.gone' },
        { name: 'usr/lib/x/old' },
        { name: 'lib/link', type: '1', link: 'lib/x/new' },
      ],
    );
    expect([...tree.keys()]).toEqual([
      '.',
      'usr',
      'usr/lib',
      'usr/lib/gone',
      'usr/lib/link',
      'usr/lib/x',
      'usr/lib/x/new',
      'usr/lib/x/old',
    ]);
    expect(tree.get('usr/lib')).toMatchObject({ uid: 6, mtimeNs: 21_000_000_000n });
    expect(tree.get('usr/lib/x')).toMatchObject({ uid: 7 });
    expect(tree.get('usr/lib/x/new')).toMatchObject({ sameAs: 'usr/lib/link' });
  });

  it('and is a symbolic link below that leads nowhere, or to itself, takes its place', async () => {
    const tree = await settled(
      [
        { name: 'dangling', type: '2', link: 'no/such' },
        { name: 'loop', type: '2', link: 'loop' },
        { name: 'out', type: '2', link: '../../../../etc' },
      ],
      [{ name: 'dangling/f' }, { name: 'loop/f' }, { name: 'out/f' }],
    );
    expect([...tree.keys()]).toEqual(['.', 'dangling', 'dangling/f', 'loop', 'loop/f', 'out', 'out/f']);
  });
});

describe('a hard link to a file of a layer below', () => {
  it('is a copy of it with everything that it is', async () => {
    const tree = await settled(
      [
        folder('d'),
        { name: 'd/f', data: 'content', mode: 0o4755, uid: 3, gid: 4, mtime: 31, pax: { 'SCHILY.xattr.user.a': 'b' } },
        { name: 's', type: '2', link: 'nowhere' },
        { name: 'way', type: '2', link: 'd' },
      ],
      [
        { name: 'one', type: '1', link: 'd/f' },
        { name: 'two', type: '1', link: 'one' },
        { name: 'three', type: '1', link: 'way/f' },
        { name: 'link', type: '1', link: 's' },
      ],
    );
    expect(tree.get('one')).toMatchObject({
      mode: 0o4755,
      uid: 3,
      gid: 4,
      mtimeNs: 31_000_000_000n,
      size: 7,
      xattrs: { 'user.a': 'b' },
    });
    expect(tree.get('one')?.sameAs).toBe(tree.get('two')?.sameAs);
    expect(tree.get('three')).toMatchObject({ size: 7 });
    expect(tree.get('link')).toMatchObject({ type: 'symlink', target: 'nowhere' });
  });

  it('is forgotten when something else takes its place', async () => {
    const tree = await settled(
      [{ name: 'f', data: 'below' }],
      [
        { name: 'a', type: '1', link: 'f' },
        { name: 'a', data: 'own' },
      ],
    );
    expect(tree.get('a')).toMatchObject({ size: 3 });
  });

  it('that nobody has, or that is gone, is refused', async () => {
    const refusal = (...layers: readonly (readonly Made[])[]) => expect(settled(...layers)).rejects;
    const link: Made = { name: 'a', type: '1', link: 'd/f' };
    await refusal([link]).toSatisfy(
      (error) => error instanceof TareError && error.code === 'protocol' && /"a"/.test(error.message),
    );
    await refusal([folder('d'), { name: 'd/f' }], [{ name: 'd/.wh.f' }], [link]).toThrow(/neither/);
    await refusal([folder('d'), folder('d/f')], [link]).toThrow(/folder/);
  });

  it('keeps the holes of a sparse one', () =>
    inFolder(async (_, top) => {
      for (const name of ['lower', 'upper']) mkdirSync(join(top, name));
      execFileSync('sh', ['-ec', 'truncate -s 8M f; printf x | dd of=f bs=1 seek=4000000 conv=notrunc status=none'], {
        cwd: join(top, 'lower'),
      });
      using lower = folderFd(join(top, 'lower'));
      using upper = folderFd(join(top, 'upper'));
      const { unsettled } = await applyLayer(pieces(archive({ name: 'g', type: '1', link: 'f' })), 'none', upper.fd);
      settleLayer(unsettled, upper.fd, [lower.fd]);
      expect(
        execFileSync('sh', ['-c', 'cmp lower/f upper/g && du -k upper/g | cut -f1'], {
          cwd: top,
          encoding: 'utf8',
        }).trim(),
      ).toMatch(/^\d\d?$/);
      expect(readdirSync(join(top, 'upper'))).toEqual(['g']);
    }));
});
