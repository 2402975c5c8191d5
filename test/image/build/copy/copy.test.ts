/** COPY and ADD into a folder that stands for the root of an image: what goes where, with which owner, mode and time. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseMode } from '../../../../runtime/image/build/copy/index.js';
import { native } from '../../../../runtime/kernel/addon.js';
import { make, tree, withPlace } from './place.js';

describe('where things go', () => {
  const CONTEXT = ['a: 1', 'b: 2', 'dir/x: 3', 'dir/sub/y: 4', 'dir/link -> x', 'out -> dir', 'file -> a'];
  it.each<[string, string[], string, string[], string[]]>([
    ['a file to a name', ['a'], '/n', [], ['n: 1']],
    ['a file to a new folder', ['a'], '/n/', [], ['n/', 'n/a: 1']],
    ['a file to a name in new folders', ['a'], '/n/m/o', [], ['n/', 'n/m/', 'n/m/o: 1']],
    ['a file to a folder that is there', ['a'], '/n', ['n/'], ['n/', 'n/a: 1']],
    ['a file to the root', ['a'], '/', [], ['a: 1']],
    ['a file over a file', ['a'], '/b', ['b: old'], ['b: 1']],
    ['files to a folder', ['a', 'b'], '/n/', [], ['n/', 'n/a: 1', 'n/b: 2']],
    ['what is in a folder', ['dir'], '/n', [], ['n/', 'n/link -> x', 'n/sub/', 'n/sub/y: 4', 'n/x: 3']],
    [
      'what is in a folder, over what is there',
      ['dir'],
      '/n',
      ['n/sub/z: old', 'n/x: old'],
      ['n/', 'n/link -> x', 'n/sub/', 'n/sub/y: 4', 'n/sub/z: old', 'n/x: 3'],
    ],
    ['a folder and a file', ['dir', 'a'], '/n/', [], ['n/', 'n/a: 1', 'n/link -> x', 'n/sub/', 'n/sub/y: 4', 'n/x: 3']],
    ['a folder by a link', ['out'], '/n', [], ['n/', 'n/link -> x', 'n/sub/', 'n/sub/y: 4', 'n/x: 3']],
    ['a file by a link', ['file'], '/n/', [], ['n/', 'n/file: 1']],
    [
      'a file through a link of the image',
      ['a'],
      '/l/n',
      ['real/', 'l -> /real'],
      ['l -> /real', 'real/', 'real/n: 1'],
    ],
    ['a file to a link to a folder', ['a'], '/l', ['real/', 'l -> real'], ['l -> real', 'real/', 'real/a: 1']],
    ['a file to a link to a file', ['a'], '/l', ['f: old', 'l -> f'], ['f: 1', 'l -> f']],
    [
      'through a link to what is not there',
      ['a'],
      '/l/n',
      ['l -> /made/here'],
      ['l -> /made/here', 'made/', 'made/here/', 'made/here/n: 1'],
    ],
    [
      'a file in the place of a link below',
      ['dir'],
      '/n',
      ['t: old', 'n/x -> ../t'],
      ['n/', 'n/link -> x', 'n/sub/', 'n/sub/y: 4', 'n/x: 3', 't: old'],
    ],
    ['by a pattern', ['[ab]'], '/n/', [], ['n/', 'n/a: 1', 'n/b: 2']],
    [
      'what is in folders',
      ['dir/sub', 'dir'],
      '/n',
      [],
      ['n/', 'n/link -> x', 'n/sub/', 'n/sub/y: 4', 'n/x: 3', 'n/y: 4'],
    ],
  ])('%s', async (_name, sources, destination, image, expected) => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, ...CONTEXT);
      make(root, ...image);
      await copy(sources, destination);
      expect(tree(root)).toEqual(expected);
    });
  });

  it.each<[string, string[], string, string[], string]>([
    ['several files to a name', ['a', 'b'], '/n', [], 'must be a folder: write a "/"'],
    ['a folder to a file', ['dir'], '/n', ['n: x'], 'is no folder in the image'],
    ['below a file', ['a'], '/n/m', ['n: x'], 'is no folder in the image'],
    ['a folder in the place of a file', ['dir'], '/n', ['n/sub: x'], '"sub" is a file or a link in the image'],
    [
      'a folder in the place of a link',
      ['dir'],
      '/n',
      ['o/', 'n/sub -> ../o'],
      '"sub" is a file or a link in the image',
    ],
    ['a file in the place of a folder', ['dir'], '/n', ['n/x/'], '"x" is a folder in the image'],
    ['through links in a circle', ['a'], '/l/n', ['l -> l'], 'lead in a circle'],
  ])('not %s', async (_name, sources, destination, image, message) => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, ...CONTEXT);
      make(root, ...image);
      await expect(copy(sources, destination)).rejects.toThrow(message);
    });
  });

  it.each<[string, string[], string[]]>([
    ['all that is above', ['dir/sub/y'], ['n/', 'n/dir/', 'n/dir/sub/', 'n/dir/sub/y: 4']],
    ['what is behind the pivot', ['./dir/./sub/y'], ['n/', 'n/sub/', 'n/sub/y: 4']],
    ['a folder itself', ['dir/sub'], ['n/', 'n/dir/', 'n/dir/sub/', 'n/dir/sub/y: 4']],
    ['what a deep pattern finds', ['**/y'], ['n/', 'n/dir/', 'n/dir/sub/', 'n/dir/sub/y: 4']],
  ])('--parents keeps %s', async (_name, sources, expected) => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'a: 1', 'dir/sub/y: 4');
      await copy(sources, '/n', { parents: true });
      expect(tree(root)).toEqual(expected);
    });
  });

  it('--parents keeps the times of all folders above, whatever comes later', async () => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'a/b/x: 1', 'a/c/y: 2', 'a/z: 3');
      for (const [index, name] of ['a', 'a/b', 'a/c'].entries()) lutimesSync(join(from, name), 1000, 1234.5 + index);
      await copy(['a/b/x', 'a/c', 'a/z'], '/n', { parents: true });
      const times = ['n/a', 'n/a/b', 'n/a/c'].map((name) => lstatSync(join(root, name)).mtimeMs);
      expect(times).toEqual([1_234_500, 1_235_500, 1_236_500]);
    });
  });

  it.each<[string, string[], string[], string[]]>([
    ['below a folder', ['.'], ['*.txt', 'd/x'], ['d/', 'd/y.txt: 4', 'z: 5']],
    ['all that has a name', ['.'], ['**/*.txt'], ['d/', 'd/x: 3', 'z: 5']],
    ['of what a pattern finds', ['ho*'], ['*.txt'], []],
    ['but not what is taken back', ['.'], ['*', '!hosts.txt'], ['hosts.txt: 2']],
  ])('--exclude leaves out %s', async (_name, sources, exclude, expected) => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'home.txt: 1', 'hosts.txt: 2', 'd/x: 3', 'd/y.txt: 4', 'z: 5');
      await copy(sources, '/', { exclude });
      expect(tree(root)).toEqual(expected);
    });
  });

  it('a here-document is a file', async () => {
    await withPlace(async ({ root, items }) => {
      await items([{ kind: 'content', name: 'note', content: Buffer.from('x') }], '/n/', { owner: { uid: 1, gid: 2 } });
      expect(tree(root)).toEqual(['n/', 'n/note: x']);
      expect(lstatSync(join(root, 'n/note'))).toMatchObject({ mode: 0o100644, uid: 1, gid: 2 });
    });
  });
});

describe('what comes along', () => {
  it('mode, time, links, holes and attributes; the owner is root', async () => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'd/x: 1', 'd/l -> x', 'd/e/');
      chmodSync(join(from, 'd/x'), 0o4751);
      chmodSync(join(from, 'd/e'), 0o1710);
      for (const name of ['d/x', 'd/l', 'd/e']) {
        execFileSync('chown', ['-h', '7:8', join(from, name)]);
        lutimesSync(join(from, name), 1000, 1234.5);
      }
      chmodSync(join(from, 'd/x'), 0o4751);
      linkSync(join(from, 'd/x'), join(from, 'd/e/again'));
      lutimesSync(join(from, 'd/e'), 1000, 1234.5);
      writeFileSync(join(from, 'd/holes'), 'begin');
      truncateSync(join(from, 'd/holes'), 50 << 20);
      execFileSync('mkfifo', ['-m', '600', join(from, 'd/pipe')]);
      const fd = native.open(join(from, 'd/x'), 0);
      native.setxattr(fd, 'user.tare', Buffer.from([0, 255]));
      native.close(fd);
      await copy(['d'], '/n');
      const of = (name: string) => lstatSync(join(root, 'n', name));
      expect(of('x')).toMatchObject({ mode: 0o104751, uid: 0, gid: 0, mtimeMs: 1234500, nlink: 2 });
      expect(of('e')).toMatchObject({ mode: 0o041710, uid: 0, gid: 0, mtimeMs: 1234500 });
      expect(of('l')).toMatchObject({ mode: 0o120777, uid: 0, mtimeMs: 1234500 });
      expect(of('e/again').ino).toBe(of('x').ino);
      expect(of('pipe').isFIFO()).toBe(true);
      expect(of('holes').size).toBe(50 << 20);
      expect(of('holes').blocks * 512).toBeLessThan(1 << 20);
      expect(readFileSync(join(root, 'n/holes')).subarray(0, 6).toString()).toBe('begin\0');
      const copied = native.open(join(root, 'n/x'), 0);
      expect(native.getxattr(copied, 'user.tare')).toEqual(Buffer.from([0, 255]));
      native.close(copied);
      expect(statSync(join(root, 'n')).mode & 0o7777).toBe(0o755);
    });
  });

  it('owners, where they are kept; those of --chown before all, also of new folders', async () => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'd/x: 1');
      chownSync(join(from, 'd/x'), 7, 8);
      await copy(['d'], '/kept', { keepOwners: true });
      expect(lstatSync(join(root, 'kept/x'))).toMatchObject({ uid: 7, gid: 8 });
      await copy(['d'], '/new/folders', { owner: { uid: 3, gid: 4 } });
      for (const name of ['new', 'new/folders', 'new/folders/x'])
        expect(lstatSync(join(root, name))).toMatchObject({ uid: 3, gid: 4 });
    });
  });

  it('the mode of --chmod, of files and folders', async () => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'd/x: 1', 'd/e/y: 2', 'd/l -> x');
      await copy(['d'], '/n', { mode: parseMode('u=rwX,go=') });
      expect([lstatSync(join(root, 'n/x')).mode & 0o7777, lstatSync(join(root, 'n/e')).mode & 0o7777]).toEqual([
        0o600, 0o700,
      ]);
      await copy(['d/x'], '/new/folder/x', { mode: parseMode('2751') });
      await copy(['d/x'], '/other/x', { mode: parseMode('u=rwX,go=') });
      const modes = ['new', 'new/folder', 'new/folder/x', 'other'].map(
        (name) => lstatSync(join(root, name)).mode & 0o7777,
      );
      expect(modes).toEqual([0o2751, 0o2751, 0o2751, 0o755]);
    });
  });

  it('the time of a folder, for the one that its files go to', async () => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'd/e/x: 1', 'f: 2');
      make(root, 'there/x: 1');
      for (const [at, name] of ['d/e', 'd', 'f'].entries()) lutimesSync(join(from, name), 1000 + at, 1000 + at);
      await copy(['d'], '/new/n');
      await copy(['d/e'], '/there');
      expect(['new/n', 'new/n/e', 'there'].map((name) => lstatSync(join(root, name)).mtimeMs)).toEqual([
        1_001_000, 1_000_000, 1_000_000,
      ]);
    });
  });

  it('folders that are there keep their mode, unless the source has them by name', async () => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'd/e/x: 1');
      make(root, 'n/e/');
      chmodSync(join(root, 'n'), 0o711);
      chmodSync(join(from, 'd/e'), 0o750);
      await copy(['d'], '/n');
      expect([lstatSync(join(root, 'n')).mode & 0o777, lstatSync(join(root, 'n/e')).mode & 0o777]).toEqual([
        0o711, 0o750,
      ]);
    });
  });

  it('names that are no UTF-8', async () => {
    await withPlace(async ({ from, root, copy }) => {
      const name = Buffer.from([0x66, 0xff]);
      writeFileSync(Buffer.concat([Buffer.from(`${from}/`), name]), 'x');
      await copy(['.'], '/');
      expect(readdirSync(root, { encoding: 'buffer' })).toEqual([name]);
    });
  });

  it('no socket, and nothing that is ignored', async () => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'x: 1', 'no/y: 2', '.dockerignore: no');
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(join(from, 'socket'), resolve));
      await copy(['.'], '/');
      server.close();
      expect(tree(root)).toEqual(['.dockerignore: no', 'x: 1']);
    });
  });

  it('leaves no descriptor open, also when it fails', async () => {
    await withPlace(async ({ from, root, copy }) => {
      make(from, 'd/e/f/x: 1', 'd/y: 2');
      make(root, 'm/e/f/x/');
      const open = () => readdirSync('/proc/self/fd').length;
      const before = open();
      await copy(['d', 'd/y'], '/n/');
      await expect(copy(['d'], '/m')).rejects.toThrow('is a folder in the image');
      expect(open()).toBe(before);
    });
  });
});
