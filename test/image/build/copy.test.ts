/** COPY and ADD into a folder that stands for the root of an image: what goes where, with which owner, mode and time. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BuildContext, select } from '../../../runtime/image/build/context/index.js';
import { unpackArchive } from '../../../runtime/image/build/copy/archive.js';
import { followed } from '../../../runtime/image/build/copy/download.js';
import {
  type CopyItem,
  type CopyOptions,
  copyInto,
  download,
  parseMode,
  resolveOwner,
} from '../../../runtime/image/build/copy/index.js';
import type { Budget } from '../../../runtime/image/layer/index.js';
import { native } from '../../../runtime/kernel/addon.js';
import { O_PATH } from '../../../runtime/kernel/constants/open.js';

interface Place {
  /** The context. */
  readonly from: string;
  /** The root of the image. */
  readonly root: string;
  copy(sources: readonly string[], destination: string, options?: CopyOptions): Promise<void>;
  items(items: readonly CopyItem[], destination: string, options?: CopyOptions): Promise<void>;
}

async function withPlace<T>(run: (place: Place) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-copy-'));
  const [from, root] = [join(folder, 'from'), join(folder, 'root')];
  mkdirSync(from);
  mkdirSync(root);
  const items = async (what: readonly CopyItem[], destination: string, options: CopyOptions = {}) => {
    const fd = native.open(root, 0);
    try {
      await copyInto(fd, what, destination, options);
    } finally {
      native.close(fd);
    }
  };
  const copy = async (sources: readonly string[], destination: string, options: CopyOptions = {}) => {
    using context = BuildContext.open(from);
    const selected = sources.flatMap((source) => select(context, source));
    await items(
      selected.map((one) => ({ kind: 'selected', selected: one })),
      destination,
      options,
    );
  };
  try {
    return await run({ from, root, copy, items });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `name: content`, `name/`, `name -> target`. */
function make(folder: string, ...entries: string[]): void {
  for (const entry of entries) {
    const [, name = '', sign, rest = ''] = /^([^:>]+?)(\/$|: ?| -> |$)(.*)$/.exec(entry) ?? [];
    mkdirSync(sign === '/' ? join(folder, name) : dirname(join(folder, name)), { recursive: true });
    if (sign === ' -> ') symlinkSync(rest, join(folder, name));
    else if (sign !== '/') writeFileSync(join(folder, name), rest);
  }
}

function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const name = path.slice(folder.length + 1);
      if (entry.isDirectory()) return `${name}/`;
      return entry.isSymbolicLink() ? `${name} -> ${readlinkSync(path)}` : `${name}: ${readFileSync(path, 'utf8')}`;
    })
    .sort();
}

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

describe('owners by name', () => {
  it.each<[string, object | string]>([
    ['5', { uid: 5, gid: 5 }],
    ['5:6', { uid: 5, gid: 6 }],
    ['web', { uid: 33, gid: 34 }],
    ['web:staff', { uid: 33, gid: 50 }],
    ['5:staff', { uid: 5, gid: 50 }],
    ['web:7', { uid: 33, gid: 7 }],
    ['nobody', 'has no "nobody"'],
    ['5:nogroup', 'has no "nogroup"'],
    ['evil', 'an id that is none'],
    ['', '--chown is UID[:GID]'],
    [':', '--chown is UID[:GID]'],
    ['1:2:3', '--chown is UID[:GID]'],
    ['-1', 'an id is a number'],
    ['4294967295', 'an id is a number'],
    ['99999999999', 'an id is a number'],
  ])('%j', async (text, expected) => {
    await withPlace(({ root }) => {
      make(root, 'etc/passwd: ', 'etc/group: ');
      writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:\nweb:x:33:34::/:\nevil:x:-1:0::/:\n');
      writeFileSync(join(root, 'etc/group'), 'staff:x:50:\n');
      const fd = native.open(root, 0);
      try {
        if (typeof expected === 'string') expect(() => resolveOwner(fd, text)).toThrow(expected);
        else expect(resolveOwner(fd, text)).toEqual(expected);
      } finally {
        native.close(fd);
      }
    });
  });

  it('a root without files has none', () => {
    expect(() => resolveOwner(undefined, 'web')).toThrow('has no "web"');
    expect(resolveOwner(undefined, '1')).toEqual({ uid: 1, gid: 1 });
  });
});

describe('modes', () => {
  /** As chmod(1) says: it is asked. */
  const byChmod = (text: string, mode: number, isFolder: boolean): number => {
    const folder = mkdtempSync(join(tmpdir(), 'tare-chmod-'));
    const path = join(folder, 'x');
    try {
      if (isFolder) mkdirSync(path);
      else writeFileSync(path, '');
      chmodSync(path, mode);
      execFileSync('chmod', [text, path]);
      return lstatSync(path).mode & 0o7777;
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it.each([
    '755',
    '4755',
    '0',
    'u+x',
    'a+rX',
    'u=rwX,go=rX',
    'go-w',
    'g=u',
    'o=g-w',
    '+t',
    'u+s,g+s',
    'ug=rw,o=',
    '=r',
    'a-x+X',
  ])('%s is as chmod has it', (text) => {
    for (const mode of [0o644, 0o750, 0o2711])
      expect([mode, parseMode(text)(mode, false)]).toEqual([mode, byChmod(text, mode, false)]);
    expect(parseMode(text)(0o711, true)).toBe(byChmod(text, 0o711, true));
  });

  it.each(['', '8', '10000', '99999', 'u', 'z+x', 'u+q', 'u+x,', 'rwx'])('%j is none', (text) => {
    expect(() => parseMode(text)).toThrow('--chmod is octal');
  });
});

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
    ['of files that are all holes', ['--sparse'], { sparseBytes: 1 << 20 }, /more than 1048576 bytes of sparse/],
  ])('a bomb is refused: one %s', async (_, options, budget, message) => {
    await withPlace(async ({ from, root }) => {
      make(from, 'in/a: 1', 'in/b: 2');
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

describe('downloads', () => {
  const serve = async (answer: RequestListener, run: (address: string, path: string) => Promise<void>) => {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const folder = mkdtempSync(join(tmpdir(), 'tare-download-'));
    try {
      await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, join(folder, 'file'));
    } finally {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true });
    }
  };
  /** A start, and then a byte at a time for as long as anybody listens. */
  const drip = (socket: Socket, start: string) => {
    socket.write(start);
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('error', () => undefined).once('close', () => clearInterval(timer));
  };
  const HELLO = 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';

  it('come with name, digest and time', async () => {
    await serve(
      (request, response) => {
        if (request.url === '/from') response.writeHead(302, { location: '/a/b%20c.txt?x' }).end();
        else response.writeHead(200, { 'last-modified': 'Thu, 01 Jan 1970 00:16:40 GMT' }).end('hello');
      },
      async (address, path) => {
        expect(await download(`${address}/from`, path, { checksum: HELLO })).toEqual({
          name: 'from',
          digest: HELLO,
          size: 5,
          mtimeNs: 1_000_000_000_000n,
        });
        expect(readFileSync(path, 'utf8')).toBe('hello');
        await withPlace(async ({ root, items }) => {
          await items([{ kind: 'download', name: 'b c.txt', path, mtimeNs: 5_000_000_000n }], '/n/');
          expect(lstatSync(join(root, 'n/b c.txt'))).toMatchObject({ mode: 0o100600, uid: 0, mtimeMs: 5000 });
        });
      },
    );
  });

  it.each<[string, RequestListener, object, string]>([
    ['404', (_, response) => response.writeHead(404).end(), {}, 'answers 404'],
    ['500', (_, response) => response.writeHead(500).end(), {}, 'answers 500'],
    ['a circle', (_, response) => response.writeHead(301, { location: '/' }).end(), {}, 'leads on more than 10 times'],
    [
      'another protocol',
      (_, response) => response.writeHead(301, { location: 'file:///etc/passwd' }).end(),
      {},
      'where it must not',
    ],
    ['a wrong checksum', (_, response) => response.end('hellO'), { checksum: HELLO }, 'has the checksum sha256:'],
    ['no checksum at all', (_, response) => response.end('x'), { checksum: 'sha256:1' }, '--checksum is sha256:'],
    ['too much', (_, response) => response.end('x'.repeat(100)), { maxBytes: 99 }, 'more than 99 bytes'],
    [
      'an early end',
      (_, response) => {
        response.writeHead(200, { 'content-length': '10' });
        response.write('x', () => response.destroy());
      },
      {},
      'cannot be downloaded',
    ],
    ['silence', () => undefined, { silenceMs: 50 }, 'silent for 50 ms'],
    [
      'silence in the middle',
      (_, response) => {
        response.writeHead(200, { 'content-length': '10' });
        response.write('x');
      },
      { silenceMs: 50 },
      'silent for 50 ms',
    ],
    [
      'a byte of its header at a time',
      (_, response) => void drip(response.socket as Socket, 'HTTP/1.1 200 OK\r\nX-Drip: '),
      { silenceMs: 100 },
      'nothing worth mentioning came',
    ],
    [
      'a byte of its body at a time',
      (_, response) => void drip(response.socket as Socket, 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n'),
      { silenceMs: 100 },
      'nothing worth mentioning came',
    ],
  ])('%s: nothing is left', async (_name, answer, options, message) => {
    await serve(answer, async (address, path) => {
      await expect(download(`${address}/`, path, options)).rejects.toThrow(message);
      expect(existsSync(path)).toBe(false);
    });
  });

  it.each([
    ['https://example.org/a', 'https://cdn.example/b', true],
    ['http://example.org/a', '/b', true],
    ['http://127.0.0.1:1/a', 'http://localhost:2/b', true],
    ['https://example.org/a', 'http://cdn.example/b', false],
    ['http://example.org/a', 'http://127.0.0.1:8080/b', false],
    ['http://example.org/a', 'http://[::ffff:127.0.0.1]/b', false],
    ['https://example.org/a', 'https://localhost./b', false],
    ['http://example.org/a', 'http://0.0.0.0/b', false],
    ['http://example.org/a', 'http://0x7f000001/b', false],
    ['http://example.org/a', 'gopher://example.org/b', false],
    ['http://example.org/a', 'http://', false],
  ])('%s may lead to %s: %s', (from, to, may) => {
    expect(followed(new URL(from), to) !== undefined).toBe(may);
  });

  it('stop when they are told to', async () => {
    await serve(
      (_, response) => {
        response.write('x');
      },
      async (address, path) => {
        const stop = new AbortController();
        const running = download(address, path, {
          signal: stop.signal,
          onProgress: () => stop.abort(new Error('enough')),
        });
        await expect(running).rejects.toThrow('enough');
        expect(existsSync(path)).toBe(false);
      },
    );
  });
});
