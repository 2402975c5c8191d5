/** What of a folder a build sees: .dockerignore, patterns, links, and the digest of what is chosen. */
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Glob } from '../../../runtime/image/build/context/glob.js';
import {
  BuildContext,
  digestSelected,
  IgnoreRules,
  select,
  whyNothing,
} from '../../../runtime/image/build/context/index.js';
import { walk } from '../../../runtime/image/build/context/walk.js';
import { native } from '../../../runtime/kernel/addon.js';
import { OwnedFd } from '../../../runtime/kernel/fd.js';

type Files = Readonly<Record<string, string | { readonly link: string }>>;

/** A folder with these files; a name with a slash at its end is a folder. */
async function withFiles<T>(files: Files, run: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tare-context-'));
  try {
    make(folder, files);
    return await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function make(folder: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
    if (typeof content !== 'string') symlinkSync(content.link, path);
    else if (!name.endsWith('/')) writeFileSync(path, content);
  }
}

/** The paths that are walked from the root. */
function walked(folder: string, rules: IgnoreRules): string[] {
  const fd = native.open(folder, 0);
  try {
    return [...walk(fd, [{ rules, base: '' }])]
      .filter(({ kind }) => kind !== 'leave')
      .map(({ path, kind }) => (kind === 'enter' ? `${path}/` : path));
  } finally {
    native.close(fd);
  }
}

describe('patterns', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ['a', ['a'], ['', 'b', 'a/b', 'aa']],
    ['*.md', ['a.md', '.md'], ['a/b.md', 'a.mdx']],
    ['*/temp*', ['a/temp', 'a/temporary'], ['temp', 'a/b/temp']],
    ['temp?', ['temp1'], ['temp', 'temp/', 'temp12']],
    ['**/*.go', ['a.go', 'a/b/c.go'], ['a.goo']],
    ['**/a', ['a', 'x/a', 'x/y/a'], ['xa', 'a/x']],
    ['**a', ['a', 'xa', 'x/a'], ['ax']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a/c', 'ab']],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['ab', 'a/xb']],
    ['**', ['a', 'a/b'], []],
    ['[a-c]x', ['ax', 'cx'], ['dx', '/x']],
    ['[^a-c]x', ['dx'], ['ax', '/x']],
    ['[\\]a]', [']', 'a'], ['\\']],
    ['a\\*b', ['a*b'], ['axb']],
    ['[[]x', ['[x'], ['x']],
    ['?', ['é', '漢'], ['ab']],
    ['.*', ['.a', '.'], ['a']],
    ['(a|b)+$', ['(a|b)+$'], ['a']],
  ])('%s', (pattern, matches, others) => {
    const glob = new Glob(pattern);
    expect(matches.filter((path) => !glob.matches(path))).toEqual([]);
    expect(others.filter((path) => glob.matches(path))).toEqual([]);
  });

  it.each(['[', '[a', '[]', '[a-]', '[-a]', 'a\\', '[^]'])('%s is none', (pattern) => {
    expect(() => new Glob(pattern)).toThrow(RangeError);
  });

  it('match as a plain search would, and never take long', () => {
    const signs = fc
      .array(fc.constantFrom('a', 'b', '*', '?', '/'), { maxLength: 8 })
      .map((parts) => parts.join('').replace(/\*\*+/g, '*'));
    fc.assert(
      fc.property(signs, fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 10 }), (pattern, path) => {
        const regexp = new RegExp(`^${pattern.replaceAll('*', '[^/]*').replaceAll('?', '[^/]')}$`);
        expect(new Glob(pattern).matches(path.join(''))).toBe(regexp.test(path.join('')));
      }),
      { numRuns: 2000 },
    );
    expect(new Glob(`${'*a'.repeat(200)}b`).matches('a'.repeat(4000))).toBe(false);
  });
});

describe('.dockerignore', () => {
  it.each<[string, string[]]>([
    ['', ['a/', 'a/b/', 'a/b/x.md', 'a/y.txt', 'c.md', 'd.txt']],
    ['# *\n\n  *.md  ', ['a/', 'a/b/', 'a/b/x.md', 'a/y.txt', 'd.txt']],
    ['**/*.md', ['a/', 'a/b/', 'a/y.txt', 'd.txt']],
    ['a', ['c.md', 'd.txt']],
    ['/a/', ['c.md', 'd.txt']],
    ['./a/../a/b', ['a/', 'a/y.txt', 'c.md', 'd.txt']],
    ['*\n!c.md', ['c.md']],
    ['*\n!a/b/x.md', ['a/', 'a/b/', 'a/b/x.md']],
    ['a\n!a/y.txt', ['a/', 'a/y.txt', 'c.md', 'd.txt']],
    ['*.md\n!c.md\nc.*', ['a/', 'a/b/', 'a/b/x.md', 'a/y.txt', 'd.txt']],
    ['*\n! a/b', ['a/', 'a/b/', 'a/b/x.md']],
    ['*\r\n!d.txt\r\n', ['d.txt']],
    ['\uFEFF*\n!d.txt', ['d.txt']],
    ['**', []],
    ['.', ['a/', 'a/b/', 'a/b/x.md', 'a/y.txt', 'c.md', 'd.txt']],
    ['..\n/', ['a/', 'a/b/', 'a/b/x.md', 'a/y.txt', 'c.md', 'd.txt']],
  ])('%j', async (text, expected) => {
    await withFiles({ 'a/b/x.md': '', 'a/y.txt': '', 'c.md': '', 'd.txt': '' }, (folder) => {
      expect(walked(folder, new IgnoreRules(text, '.dockerignore'))).toEqual(expected);
    });
  });

  it.each<[string, string]>([
    ['ok\n  [a', '.dockerignore:2:3: "[a" is no pattern: a "[" is not closed\n2 |   [a\n  |   ^'],
    ['!', '.dockerignore:1:1: a pattern is missing after "!"\n1 | !\n  | ^'],
  ])('%j is refused with its place', (text, message) => {
    expect(() => new IgnoreRules(text, '.dockerignore')).toThrow(message);
  });

  it('one that belongs to the Dockerfile goes before that of the folder', async () => {
    await withFiles(
      { '.dockerignore': 'a', 'b.Dockerfile': '', 'b.Dockerfile.dockerignore': 'b', a: '', b: '' },
      (folder) => {
        using plain = BuildContext.open(folder);
        expect([select(plain, 'a').length, select(plain, 'b').length]).toEqual([0, 1]);
        using own = BuildContext.open(folder, join(folder, 'b.Dockerfile'));
        expect([select(own, 'a').length, select(own, 'b').length]).toEqual([1, 0]);
      },
    );
  });

  it('is not read through a link that leads out', async () => {
    await withFiles(
      { 'outside/secret': '*', 'in/.dockerignore': { link: '../outside/secret' }, 'in/a': '' },
      (folder) => {
        using context = BuildContext.open(join(folder, 'in'));
        expect(select(context, 'a')).toHaveLength(1);
      },
    );
  });
});

describe('sources', () => {
  const files: Files = {
    'app.py': 'x',
    'b.py': '',
    'data/1.txt': '',
    'data/2.txt': '',
    'data/deep/3.txt': '',
    'arr[0].txt': '',
    link: { link: 'data' },
    absolute: { link: '/data/1.txt' },
    up: { link: '../../../../data/2.txt' },
    nowhere: { link: 'gone' },
    circle: { link: 'circle' },
    'secret.key': '',
    toSecret: { link: 'secret.key' },
    'hidden/keep': '',
    'hidden/drop': '',
    '.dockerignore': '*.key\nhidden\n!hidden/keep',
  };

  it.each<[string, string[]]>([
    ['app.py', ['app.py']],
    ['/app.py', ['app.py']],
    ['./data/../app.py', ['app.py']],
    ['../../app.py', ['app.py']],
    ['.', ['']],
    ['/', ['']],
    ['data/', ['data']],
    ['*.py', ['app.py', 'b.py']],
    ['d*/[0-9].txt', ['data/1.txt', 'data/2.txt']],
    ['data/*', ['data/1.txt', 'data/2.txt', 'data/deep']],
    ['data/**/*.txt', ['data/1.txt', 'data/2.txt', 'data/deep/3.txt']],
    ['**/3.txt', ['data/deep/3.txt']],
    ['arr[[]0].txt', ['arr[0].txt']],
    ['link/1.txt', ['data/1.txt']],
    ['link/*.txt', ['data/1.txt', 'data/2.txt']],
    ['li*/1.txt', []],
    ['link', ['data']],
    ['li*', ['data']],
    ['absolute', ['data/1.txt']],
    ['up', ['data/2.txt']],
    ['hidden', ['hidden']],
    ['hidden/*', ['hidden/keep']],
    ['hidden/drop', []],
    ['secret.key', []],
    ['toSecret', []],
    ['nowhere', []],
    ['nothing*', []],
    ['app.py/x', []],
  ])('%s', async (source, expected) => {
    await withFiles(files, (folder) => {
      using context = BuildContext.open(folder);
      expect(select(context, source).map(({ path }) => path)).toEqual(expected);
    });
  });

  it('remember how they were found', async () => {
    await withFiles(files, (folder) => {
      using context = BuildContext.open(folder);
      expect(select(context, 'link/*.txt').map(({ written }) => written)).toEqual(['link/1.txt', 'link/2.txt']);
      expect(select(context, 'absolute')[0]?.written).toBe('absolute');
    });
  });

  it.each<[string, string]>([
    ['ap.py', 'it is not in the build context; did you mean "app.py"?'],
    ['dta/1.txt', 'it is not in the build context; did you mean "data"?'],
    ['data/11.txt', 'it is not in the build context; did you mean "data/1.txt"?'],
    ['zzz', 'it is not in the build context'],
    ['secret.ke', 'it is not in the build context'],
    ['secret.key', 'it is left out of the build context by line 1 of DIR/.dockerignore, "*.key"'],
    ['toSecret', 'it is left out of the build context by line 1 of DIR/.dockerignore, "*.key"'],
    ['hidden/drop', 'it is left out of the build context by line 2 of DIR/.dockerignore, "hidden"'],
    ['nowhere', 'in the build context it is a symbolic link that leads nowhere there'],
    ['x*', 'nothing in the build context matches it'],
  ])('%s is not there: %s', async (source, message) => {
    await withFiles(files, (folder) => {
      using context = BuildContext.open(folder);
      expect(select(context, source)).toEqual([]);
      expect(whyNothing(context, source)).toBe(message.replace('DIR', folder));
    });
  });

  it('a circle of links is an error', async () => {
    await withFiles(files, (folder) => {
      using context = BuildContext.open(folder);
      expect(() => select(context, 'circle')).toThrow('lead in a circle');
    });
  });

  it.each<[string, string]>([
    ['https://example.com/a.tar', 'from the web is not supported'],
    ['git@example.com:a/b', 'git repository is not supported'],
    ['/nowhere/at/all', 'is not there'],
    ['/dev/null', 'is no folder'],
  ])('the context %s is refused', (folder, message) => {
    expect(() => BuildContext.open(folder)).toThrow(message);
  });

  it('have nothing of Tare’s own folders, which grow while they are copied', async () => {
    await withFiles({ 'root/images/blob': '', 'root/containers/x': '', 'root/mine': '' }, (folder) => {
      const before = process.env.TARE_ROOT;
      process.env.TARE_ROOT = join(folder, 'root');
      try {
        using context = BuildContext.open(folder);
        expect(select(context, 'root/*').map(({ path }) => path)).toEqual(['root/mine']);
        using fd = new OwnedFd(native.open(folder, 0));
        const seen = [...walk(fd.fd, [], context.hidden)].map(({ kind, path }) => `${kind} ${path}`);
        expect(seen).toEqual(['enter root', 'file root/mine', 'leave root']);
      } finally {
        if (before === undefined) delete process.env.TARE_ROOT;
        else process.env.TARE_ROOT = before;
      }
    });
  });

  it('leave no descriptor open', async () => {
    await withFiles(files, (folder) => {
      const open = () => readdirSync('/proc/self/fd').length;
      const before = open();
      {
        using context = BuildContext.open(folder);
        for (const source of ['.', 'data/**', 'hidden', 'hidden/*', 'link/*', 'secret.key', 'up', 'zzz']) {
          select(context, source);
          whyNothing(context, source);
        }
        expect(() => select(context, 'circle')).toThrow();
      }
      expect(open()).toBe(before);
    });
  });
});

describe('the digest', () => {
  const files: Files = { 'a/x': '1', 'a/y': '2', b: '3', link: { link: 'b' } };
  const digest = async (folder: string, source = '.', options = {}) => {
    using context = BuildContext.open(folder);
    return digestSelected(select(context, source), options);
  };

  it('is the same for the same files, whenever and wherever they were written', async () => {
    const one = await withFiles(files, (folder) => digest(folder));
    const other = await withFiles(files, (folder) => {
      utimesSync(join(folder, 'b'), 1, 1);
      return digest(folder);
    });
    expect(other).toBe(one);
  });

  it.each<[string, (folder: string) => void]>([
    ['content', (folder) => writeFileSync(join(folder, 'a/x'), '9')],
    ['mode', (folder) => chmodSync(join(folder, 'a/x'), 0o700)],
    ['mode of a folder', (folder) => chmodSync(join(folder, 'a'), 0o700)],
    ['a name', (folder) => writeFileSync(join(folder, 'a/z'), '')],
    ['an empty folder', (folder) => mkdirSync(join(folder, 'n'))],
    ['a link', (folder) => symlinkSync('a', join(folder, 'n'))],
    [
      'a file instead of a link',
      (folder) => {
        rmSync(join(folder, 'link'));
        writeFileSync(join(folder, 'link'), 'b');
      },
    ],
    [
      'a hard link instead of a copy',
      (folder) => {
        rmSync(join(folder, 'a/y'));
        linkSync(join(folder, 'a/x'), join(folder, 'a/y'));
      },
    ],
    [
      'an attribute',
      (folder) => {
        const fd = native.open(join(folder, 'b'), 0);
        native.setxattr(fd, 'user.tare', Buffer.from('x'));
        native.close(fd);
      },
    ],
  ])('changes with %s', async (_name, change) => {
    await withFiles(files, async (folder) => {
      const before = await digest(folder);
      change(folder);
      expect(await digest(folder)).not.toBe(before);
    });
  });

  it('does not change with what is ignored or excluded', async () => {
    await withFiles({ ...files, '.dockerignore': 'a/x\n.dockerignore' }, async (folder) => {
      const before = await digest(folder);
      const excluded = await digest(folder, 'a', { exclude: ['y'] });
      writeFileSync(join(folder, 'a/x'), 'changed');
      expect(await digest(folder)).toBe(before);
      writeFileSync(join(folder, 'a/y'), 'changed');
      expect(await digest(folder)).not.toBe(before);
      expect(await digest(folder, 'a', { exclude: ['y'] })).toBe(excluded);
    });
  });

  it('reads a content once, unless it may have changed', async () => {
    await withFiles(files, async (folder) => {
      const known = new Map<string, string>();
      await digest(folder, '.', { known });
      // Just written: another write might leave the change time as it is.
      expect(known.size).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 2100));
      const before = await digest(folder, '.', { known });
      expect(known.size).toBe(3);
      for (const key of known.keys()) known.set(key, 'remembered');
      expect(await digest(folder, '.', { known })).not.toBe(before);
      writeFileSync(join(folder, 'b'), '4');
      expect([...known.values()]).toEqual(['remembered', 'remembered', 'remembered']);
    });
  });
});
