import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { packageRoot } from '../../runtime/kernel/places.js';
import { parseOptions, parseRelease, parseSources } from '../../runtime/vm/image/apt.js';
import { baseKey } from '../../runtime/vm/image/base.js';
import { PACKAGES } from '../../runtime/vm/image/contents.js';
import { writeCpio } from '../../runtime/vm/image/cpio.js';
import { prepareImage } from '../../runtime/vm/image/index.js';
import { extractVmlinux } from '../../runtime/vm/image/kernel.js';
import { run, runShell } from '../../runtime/vm/image/run.js';
import { hold, machinesFolder, make, needSpace, sweep, withBuildLock } from '../../runtime/vm/image/store.js';
import { layerKey, listFiles } from '../../runtime/vm/image/tare-layer.js';

const quiet = () => undefined;
let folder: string;
let rootBefore: string | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tare-image-'));
  rootBefore = process.env.TARE_ROOT;
  process.env.TARE_ROOT = folder;
});
afterEach(() => {
  if (rootBefore === undefined) delete process.env.TARE_ROOT;
  else process.env.TARE_ROOT = rootBefore;
  rmSync(folder, { recursive: true, force: true });
});

it('building needs root, which is said before anything is made', async () => {
  const asUser = vi.spyOn(process, 'geteuid').mockReturnValue(1000);
  try {
    await expect(prepareImage()).rejects.toMatchObject({
      code: 'permission',
      message: expect.stringMatching(/needs root/),
    });
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    asUser.mockRestore();
  }
});

describe('where packages come from', () => {
  it('reads both formats, for this release alone, each archive once', () => {
    const sources = parseSources(
      [
        {
          name: 'sources.list',
          text: [
            'deb http://mirror.example/debian bookworm main contrib # near',
            'deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://mirror.example/debian-security bookworm-security main',
            '# deb http://old.example/debian bookworm main',
            'deb-src http://mirror.example/debian bookworm main',
            'deb https://packages.example cloud-sdk-bookworm main',
          ].join('\n'),
        },
        {
          name: 'sources.list.d/debian.sources',
          text: 'Types: deb deb-src\n# near\nURIs: http://mirror.example/debian\nSuites: bookworm\n bookworm-updates\nComponents: main\n\nTypes: deb\nURIs: https://node.example\nSuites: nodistro\n\nEnabled: no\nTypes: deb\nURIs: http://off.example\nSuites: bookworm',
        },
      ],
      'bookworm',
    );
    expect(sources).toEqual([
      'deb http://mirror.example/debian bookworm main',
      'deb [signed-by=/usr/share/keyrings/k.gpg] http://mirror.example/debian-security bookworm-security main',
      'deb http://mirror.example/debian bookworm-updates main',
    ]);
  });

  it('knows Debian from its relatives', () => {
    expect(parseRelease('ID=debian\nVERSION_CODENAME=bookworm\n')).toBe('bookworm');
    expect(parseRelease('ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n')).toBeUndefined();
    expect(parseRelease('')).toBeUndefined();
  });

  it('takes proxies over, and nothing of the host’s own', () => {
    const dump =
      'Acquire "";\nAcquire::http::Proxy "http://proxy.example:3128";\nAcquire::Languages "none";\nAcquire::Retries "3";\nAcquire::http "";\n';
    expect(parseOptions(dump)).toEqual(['Acquire::http::Proxy "http://proxy.example:3128";', 'Acquire::Retries "3";']);
  });
});

describe('keys', () => {
  it('of the base layer follow from packages and release, not from order or mirror', () => {
    const key = baseKey('bookworm');
    expect(baseKey('bookworm', [...PACKAGES].reverse())).toBe(key);
    expect(baseKey('bookworm', [...PACKAGES, 'git'])).not.toBe(key);
    expect(baseKey('trixie')).not.toBe(key);
  });

  it('of Tare’s layer follow from contents, not from times', async () => {
    const root = join(folder, 'project');
    const put = (path: string, text: string) => {
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), text);
    };
    put('package.json', '{"dependencies": {"better-sqlite3": "1", "commander": "1", "express": "1"}}');
    const database = 'node_modules/better-sqlite3';
    const unread = ['deps/sqlite3.tar.gz', 'src/database.cpp', 'build/Makefile', 'build/Release/sqlite3.a'];
    const read = ['package.json', 'lib/index.js', 'build/Release/better_sqlite3.node'];
    for (const path of [...unread, 'build/Release/obj/gen/sqlite3.c', ...read]) put(`${database}/${path}`, '{}');
    put('node_modules/commander/package.json', '{"dependencies": {"below": "1"}}');
    put('node_modules/below/index.js', '');
    put('node_modules/express/index.js', '');
    put('dist/runtime/a.js', 'one');
    put('dist/runtime/a.js.map', 'a map');
    put('dist/web-lab/server.js', '');
    put('dist/native/asan/stage', '');
    put('chapters/01/lesson.md', 'text');
    const files = async () => (await listFiles(root)).filter(({ target }) => target !== 'usr/bin/node');
    expect((await files()).map(({ target }) => target)).toEqual([
      'opt/tare/chapters/01/lesson.md',
      'opt/tare/dist/runtime/a.js',
      'opt/tare/node_modules/below/index.js',
      `opt/tare/${database}/build/Release/better_sqlite3.node`,
      `opt/tare/${database}/lib/index.js`,
      `opt/tare/${database}/package.json`,
      'opt/tare/node_modules/commander/package.json',
      'opt/tare/package.json',
    ]);
    mkdirSync(machinesFolder());
    const key = await layerKey(await files());
    utimesSync(join(root, 'dist/runtime/a.js'), 1, 1);
    expect(await layerKey(await files())).toBe(key);
    put('dist/runtime/a.js', 'two');
    expect(await layerKey(await files())).not.toBe(key);
  });
});

describe('the parts', () => {
  it('an initramfs that cpio itself understands', () => {
    const archive = writeCpio([
      { path: 'modules', mode: 0o040755 },
      { path: 'modules/a.ko', mode: 0o100644, data: Buffer.from('odd') },
      { path: 'init', mode: 0o100755, data: Buffer.alloc(4097, 1) },
    ]);
    const list = spawnSync('cpio', ['-itv', '--quiet', '--numeric-uid-gid'], {
      input: archive,
      encoding: 'utf8',
      env: { TZ: 'UTC', PATH: process.env.PATH },
    });
    expect(list.status).toBe(0);
    expect(list.stdout.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
      'drwxr-xr-x 2 0 0 0 Jan 1 1970 modules',
      '-rw-r--r-- 1 0 0 3 Jan 1 1970 modules/a.ko',
      '-rwxr-xr-x 1 0 0 4097 Jan 1 1970 init',
      '',
    ]);
  });

  it('refuses a kernel that is none', () => {
    expect(() => extractVmlinux(Buffer.from('MZ'))).toThrowError(/not a bzImage/);
    const header = Buffer.alloc(4096);
    header.write('HdrS', 0x202);
    expect(() => extractVmlinux(header)).toThrowError(/compressed in a way/);
  });
});

describe('the store', () => {
  it('keeps nothing of a build that failed, and goes on after one that was killed', async () => {
    await withBuildLock(quiet, async () => {
      const failing = make('image', 'k', async (temporary) => {
        writeFileSync(join(temporary, 'half'), '');
        throw new Error('no luck');
      });
      await expect(failing).rejects.toThrow('no luck');
    });
    expect(readdirSync(machinesFolder())).toEqual(['.lock']);
    const child = spawn(process.execPath, ['--input-type=module', '-e', killedScript()], {
      env: { ...process.env, TARE_ROOT: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(readdirSync(machinesFolder()).some((name) => name.startsWith('tmp-'))).toBe(true);
    const waited: string[] = [];
    const next = withBuildLock(
      (sentence) => waited.push(sentence),
      async () => readdirSync(machinesFolder()),
    );
    await new Promise((wake) => setTimeout(wake, 300));
    child.kill('SIGKILL');
    expect(await next).toEqual(['.lock']);
    expect(waited).toEqual(['another process is building the machine’s image; waiting for it']);
  });

  it('removes what nobody keeps, holds, or has just used', async () => {
    await withBuildLock(quiet, async () => {
      for (const key of ['kept', 'held', 'fresh', 'old']) await make('image', key, async () => undefined);
      for (const key of ['kept', 'held', 'old']) utimesSync(join(machinesFolder(), `image-${key}`), 1, 1);
      const release = hold('image', 'held');
      await sweep((name) => name === 'image-kept');
      expect(readdirSync(machinesFolder()).sort()).toEqual(['.lock', 'image-fresh', 'image-held', 'image-kept']);
      release();
      await sweep((name) => name === 'image-kept');
      expect(existsSync(join(machinesFolder(), 'image-held'))).toBe(false);
    });
    expect(statSync(machinesFolder()).mode & 0o777).toBe(0o700);
  });

  it('says what is missing: space, or a program', async () => {
    mkdirSync(machinesFolder());
    await expect(needSpace(2 ** 60)).rejects.toMatchObject({
      code: 'no-space',
      message: expect.stringMatching(/MiB free; .* needs/),
    });
    await expect(run('no-such-program', [])).rejects.toMatchObject({
      code: 'not-found',
      message: 'no-such-program is not installed',
    });
    await expect(runShell('no-such-program | cat', [])).rejects.toMatchObject({ code: 'not-found' });
    // Of apt's the first is the reason.
    await expect(
      runShell('printf "I: x\\nE: broken\\nE: index failed\\nE: all failed\\n" >&2; exit 3', []),
    ).rejects.toMatchObject({
      code: 'machine',
      message: expect.stringMatching(/failed \(3\): E: broken$/),
    });
  });

  it('calls a full disk a full disk, and leaves nothing on it', (ctx) => {
    if (process.geteuid?.() !== 0) return ctx.skip('only root can mount a small disk');
    const script = `
      const { make, withBuildLock } = await import(${JSON.stringify(join(packageRoot(), 'dist/runtime/vm/image/store.js'))});
      const { runShell } = await import(${JSON.stringify(join(packageRoot(), 'dist/runtime/vm/image/run.js'))});
      const { readdirSync } = await import('node:fs');
      const fill = (folder) => runShell('head -c 8M /dev/zero > "$1/big"', [folder]);
      await withBuildLock(() => {}, () => make('image', 'k', fill)).catch((error) => console.log(error.code, error.message));
      console.log(readdirSync(process.env.TARE_ROOT + '/machines').join());`;
    const mount = 'mount -t tmpfs -o size=2m small "$TARE_ROOT" && exec "$0" --input-type=module -e "$1"';
    const child = spawnSync('unshare', ['--mount', 'sh', '-c', mount, process.execPath, script], {
      env: { ...process.env, TARE_ROOT: folder },
      encoding: 'utf8',
    });
    expect(child.stdout).toBe('no-space the disk became full while the machine’s image was built\n.lock\n');
  });
});

function killedScript(): string {
  return `
    const { make, withBuildLock } = await import(${JSON.stringify(join(packageRoot(), 'dist/runtime/vm/image/store.js'))});
    setInterval(() => undefined, 1000);
    await withBuildLock(() => {}, () => make('image', 'k', async () => { console.log('building'); await new Promise(() => {}); }));`;
}
