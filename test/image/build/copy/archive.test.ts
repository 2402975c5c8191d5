/** ADD of archives: unpacked over what is there, within bounds, and not where they say that they lie outside. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { unpackArchive } from '../../../../runtime/image/build/copy/archive.js';
import type { Budget } from '../../../../runtime/image/layer/index.js';
import { native } from '../../../../runtime/kernel/addon.js';
import { O_PATH } from '../../../../runtime/kernel/constants/open.js';
import { make, tree, withPlace } from './place.js';

describe('archives', () => {
  const archive = (from: string, file: string, ...options: string[]) => {
    make(from, 'in/etc/x: 1', 'in/l -> etc', 'in/etc/y: 2');
    chownSync(join(from, 'in/etc/x'), 7, 8);
    chmodSync(join(from, 'in/etc/x'), 0o640);
    linkSync(join(from, 'in/etc/x'), join(from, 'in/etc/z'));
    lutimesSync(join(from, 'in/etc'), 1000, 1000);
    execFileSync('tar', ['-C', join(from, 'in'), ...options, '-cf', join(from, file), '.']);
    rmSync(join(from, 'in'), { recursive: true });
  };
  const CONTENT = ['etc/', 'etc/x: 1', 'etc/y: 2', 'etc/z: 1', 'l -> etc'];

  it.each<[string, string[]]>([
    ['a.tar', []],
    ['a.tar.gz', ['--gzip']],
    ['a.tar.zst', ['--zstd']],
    ['a.tar.xz', ['--xz']],
    ['a.tar.bz2', ['--bzip2']],
    ['of-any-name', ['--xz']],
    ['any-name', ['--gzip']],
  ])('%s is unpacked', async (file, options) => {
    await withPlace(async ({ from, root, copy }) => {
      archive(from, file, ...options);
      await copy([file], '/n', { unpack: 'local' });
      expect(tree(join(root, 'n'))).toEqual(CONTENT);
      expect(lstatSync(join(root, 'n/etc/x'))).toMatchObject({ mode: 0o100640, uid: 7, gid: 8, nlink: 2 });
      expect(lstatSync(join(root, 'n/etc')).mtimeMs).toBe(1_000_000);
    });
  });

  it('goes over what is there, through the links of the image', async () => {
    await withPlace(async ({ from, root, copy }) => {
      archive(from, 'a.tar');
      make(root, 'real/x: old', 'real/other: kept', 'n -> real');
      await copy(['a.tar'], '/n', { unpack: 'local', owner: { uid: 3, gid: 4 } });
      expect(tree(join(root, 'real'))).toEqual([...CONTENT, 'other: kept', 'x: old'].sort());
      expect(lstatSync(join(root, 'real/etc/x'))).toMatchObject({ uid: 3, gid: 4 });
    });
  });

  it('puts a file in the place of a folder', async () => {
    await withPlace(async ({ from, root, copy }) => {
      archive(from, 'a.tar');
      make(root, 'l/deep/file: 1', 'etc/x/empty/', 'etc/kept: 2');
      await copy(['a.tar'], '/', { unpack: 'local' });
      expect(tree(root)).toEqual([...CONTENT, 'etc/kept: 2'].sort());
    });
  });

  it('is a file like any other without unpacking', async () => {
    await withPlace(async ({ from, root, copy }) => {
      archive(from, 'a.tar');
      await copy(['a.tar'], '/n/', { unpack: 'none' });
      expect(existsSync(join(root, 'n/a.tar'))).toBe(true);
    });
  });

  it('what is packed and no archive is a file', async () => {
    await withPlace(async ({ from, root, copy }) => {
      execFileSync('sh', [
        '-c',
        `echo x | gzip > ${join(from, 'x.gz')}; printf '\\037\\213broken' > ${join(from, 'y.gz')}`,
      ]);
      await copy(['x.gz', 'y.gz'], '/n/', { unpack: 'local' });
      expect(readdirSync(join(root, 'n'))).toEqual(['x.gz', 'y.gz']);
    });
  });

  const damaged: [string, string, string][] = [
    ['a.tar.xz', '\xfd7zXZ\0', 'xz-utils'],
    ['a.tbz2', 'BZh9', 'bzip2'],
  ];
  it.each(damaged)('%s that only begins like one is a file', async (name, start) => {
    await withPlace(async ({ from, root, copy }) => {
      writeFileSync(join(from, name), start, 'latin1');
      await copy([name], '/n/', { unpack: 'local' });
      expect(readdirSync(join(root, 'n'))).toEqual([name]);
    });
  });

  it.each(damaged)('%s names the package of the program that is not here', async (name, start, debian) => {
    const path = process.env.PATH;
    await withPlace(async ({ from, root, copy }) => {
      for (const file of [name, 'no-archive']) writeFileSync(join(from, file), start, 'latin1');
      process.env.PATH = from;
      try {
        await expect(copy([name], '/n/', { unpack: 'local' })).rejects.toThrow(`the package ${debian}`);
        await copy(['no-archive'], '/n/', { unpack: 'local' });
      } finally {
        process.env.PATH = path;
      }
      expect(readdirSync(join(root, 'n'))).toEqual(['no-archive']);
    });
  });

  it.each([
    ['--xz', 'xz-utils'],
    ['--bzip2', 'bzip2'],
  ])('%s that is damaged later says so, and takes no options from the environment', async (option) => {
    await withPlace(async ({ from, root, copy }) => {
      writeFileSync(join(from, 'noise'), randomBytes(3_000_000));
      execFileSync('tar', ['-C', from, option, '-cf', join(from, 'a.tar'), 'noise']);
      truncateSync(join(from, 'a.tar'), 2_000_000);
      process.env.XZ_OPT = process.env.XZ_DEFAULTS = '--format=raw';
      try {
        await expect(copy(['a.tar'], '/n/', { unpack: 'local' })).rejects.toThrow('or is damaged');
      } finally {
        delete process.env.XZ_OPT;
        delete process.env.XZ_DEFAULTS;
      }
      expect(existsSync(join(root, 'n'))).toBe(true);
    });
  });

  it.each<[string, string[], Partial<Budget>, RegExp]>([
    [
      'packed more than anything is',
      ['--gzip'],
      { ratioFrom: 1 << 20, ratio: 200 },
      /more than 200 times its compressed/,
    ],
    ['of too many bytes', [], { bytes: 1 << 20 }, /more than 1048576 bytes when uncompressed/],
    ['of too many files', [], { entries: 2 }, /more than 2 files/],
    ['of too many folders', [], { folderBytes: 50 }, /more than 50 bytes of names of folders/],
    ['of files that are all holes', ['--sparse'], { sparseBytes: 1 << 20 }, /more than 1048576 bytes of sparse/],
  ])('a bomb is refused: one %s', async (_, options, budget, message) => {
    await withPlace(async ({ from, root }) => {
      make(from, 'in/a: 1', 'in/b: 2', 'in/c/d: 3');
      truncateSync(join(from, 'in/b'), 8 << 20);
      execFileSync('tar', ['-C', join(from, 'in'), ...options, '-cf', join(from, 'bomb'), '.']);
      const fds = [native.open(join(from, 'bomb'), O_PATH), native.open(root, O_PATH)] as const;
      try {
        const compression = options.includes('--gzip') ? 'gzip' : 'none';
        const where = { root: fds[1], folder: { path: '', fd: fds[1], [Symbol.dispose]: () => undefined }, budget };
        await expect(unpackArchive(fds[0], compression, where)).rejects.toThrow(message);
        await unpackArchive(fds[0], compression, { ...where, budget: {} });
        expect(lstatSync(join(root, 'b')).size).toBe(8 << 20);
      } finally {
        for (const fd of fds) native.close(fd);
      }
    });
  });

  it('one that climbs is refused', async () => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'x: 1');
      execFileSync('tar', ['-C', from, '-cPf', join(from, 'evil.tar'), '--transform', 's,^x,../../x,', 'x']);
      await expect(copy(['evil.tar'], '/n/', { unpack: 'local' })).rejects.toThrow('lies outside');
      expect(existsSync(join(dirname(root), 'x'))).toBe(false);
    });
  });
});
