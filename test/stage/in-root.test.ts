/** mkdir_in_root and create_in_root: whatever the root holds, and whoever changes it meanwhile, nothing is made outside it. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planBytes, step, type TestStep } from './plan-bytes.js';
import { BUILDS, Stage } from './stage.js';

const { EAGAIN, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR } = constants.errno;
let folder: string;
let root: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tare-in-root-'));
  root = join(folder, 'root');
  mkdirSync(join(root, 'etc'), { recursive: true });
  mkdirSync(join(folder, 'etc'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const mkdir = (path: string, mode = 0o700) => step('mkdir_in_root', [0, path, mode], { out: [1] });
const create = (path: string, mode = 0o640) => step('create_in_root', [0, path, mode], { out: [1] });
const give = step('give', ['made', 1]);

describe.each(BUILDS)('%s: in the root', (build) => {
  async function run(...steps: TestStep[]) {
    const fd = openSync(root, 'r');
    const stage = new Stage(planBytes({ lanes: [[step('umask', [0]), ...steps]], given: 1 }), { build, given: [fd] });
    closeSync(fd);
    await using _ = stage;
    const code = await stage.ended();
    const made = stage.reports.find((report) => report.type === 'give');
    const inode = made?.fds[0] === undefined ? undefined : statSync(`/proc/self/fd/${made.fds[0]}`).ino;
    return { code, inode, failure: code === 0 ? undefined : await stage.failure() };
  }
  const isAt = (path: string, inode?: number) => statSync(path).ino === inode;

  it('makes what is missing, with the mode at the end and 0755 before it', async () => {
    const { inode } = await run(mkdir('/a/b//c/'), give);
    expect(isAt(join(root, 'a/b/c'), inode)).toBe(true);
    expect([statSync(join(root, 'a')).mode & 0o7777, statSync(join(root, 'a/b/c')).mode & 0o7777]).toEqual([
      0o755, 0o700,
    ]);
    const file = await run(create('x/y'), give);
    expect(isAt(join(root, 'x/y'), file.inode)).toBe(true);
    expect(statSync(join(root, 'x/y')).mode).toBe(0o100640);
  });

  it('takes what is there', async () => {
    writeFileSync(join(root, 'file'), 'text', { mode: 0o600 });
    expect(isAt(join(root, 'file'), (await run(create('file'), give)).inode)).toBe(true);
    expect(isAt(join(root, 'etc'), (await run(mkdir('etc'), give)).inode)).toBe(true);
    expect(isAt(join(root, 'etc'), (await run(create('etc'), give)).inode)).toBe(true);
    expect(isAt(root, (await run(mkdir('/'), give)).inode)).toBe(true);
    expect(statSync(join(root, 'file')).mode).toBe(0o100600);
  });

  it('a symlink stays in the root: absolute, upwards, dangling, or through another', async () => {
    symlinkSync('/etc', join(root, 'absolute'));
    symlinkSync('../../../../etc', join(root, 'etc/up'));
    symlinkSync('/not/there', join(root, 'dangling'));
    symlinkSync('dangling/deep', join(root, 'chain'));
    for (const [path, place] of [
      ['absolute/new', 'etc/new'],
      ['etc/up/new', 'etc/new'],
      ['dangling/new', 'not/there/new'],
      ['chain', 'not/there/deep'],
    ] as const)
      expect(isAt(join(root, place), (await run(mkdir(path), give)).inode)).toBe(true);
    symlinkSync('/not/a-file', join(root, 'file-link'));
    expect(isAt(join(root, 'not/a-file'), (await run(create('file-link'), give)).inode)).toBe(true);
    expect(readdirSync(join(folder, 'etc'))).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual(['etc', 'root']);
  });

  it('".." ends at the root', async () => {
    expect(isAt(join(root, 'etc/x'), (await run(mkdir('../../etc/x'), give)).inode)).toBe(true);
    expect(isAt(join(root, 'y'), (await run(mkdir('new/../../../y'), give)).inode)).toBe(true);
    expect(isAt(root, (await run(mkdir('other/..'), give)).inode)).toBe(true);
    expect(existsSync(join(folder, 'y'))).toBe(false);
  });

  it('refuses what cannot be: loops, files on the way, names too long, magic links', async () => {
    symlinkSync('loop', join(root, 'loop'));
    writeFileSync(join(root, 'file'), '');
    symlinkSync('file', join(root, 'to-file'));
    expect((await run(mkdir('loop/x'))).failure).toMatchObject({ error: ELOOP });
    expect((await run(mkdir('file'))).failure).toMatchObject({ error: ENOTDIR });
    expect((await run(mkdir('file/x/y'))).failure).toMatchObject({ error: ENOTDIR });
    expect((await run(mkdir('new/../to-file/x'))).failure).toMatchObject({ error: ENOTDIR });
    expect((await run(create(`new/${'n'.repeat(256)}`))).failure).toMatchObject({ error: ENAMETOOLONG });
    expect((await run(mkdir('a/'.repeat(2100)))).failure).toMatchObject({ error: ENAMETOOLONG });
    expect(readdirSync(root).sort()).toEqual(['etc', 'file', 'loop', 'new', 'to-file']);
  });

  it('makes five hundred folders in each other', async () => {
    expect((await run(mkdir('d/'.repeat(500)))).code).toBe(0);
    expect(existsSync(join(root, 'd/'.repeat(500)))).toBe(true);
  });

  it('CVE-2024-45310: a directory exchanged for a symlink, again and again, leads nowhere else', async () => {
    // An absolute link to a folder that is both in the root and outside: made outside, it would be seen there.
    mkdirSync(join(root, folder, 'etc'), { recursive: true });
    const worker = new Worker(EXCHANGE, { eval: true, workerData: { root, target: join(folder, 'etc') } });
    try {
      await new Promise((resolve) => worker.once('message', resolve));
      const again = { tolerate: [ELOOP, ENOENT] };
      for (let round = 0; round < 20; round++) {
        const attempts = Array.from({ length: 40 }, (_, i) => ({ ...mkdir(`race/${round}/${i}`), ...again }));
        const { failure } = await run(...attempts);
        expect([undefined, EAGAIN, ENOTDIR]).toContain(failure?.error);
      }
    } finally {
      await worker.terminate();
    }
    expect(readdirSync(join(folder, 'etc'))).toEqual([]);
    expect(readdirSync(root, { recursive: true }).filter((path) => /\/\d+\/\d+$/.test(String(path)))).not.toEqual([]);
  });
});

const EXCHANGE = `
  const { renameSync, mkdirSync, symlinkSync } = require('node:fs');
  const { parentPort, workerData: { root, target } } = require('node:worker_threads');
  mkdirSync(root + '/race');
  symlinkSync(target, root + '/link');
  parentPort.postMessage('ready');
  for (;;) {
    try {
      renameSync(root + '/race', root + '/away');
      renameSync(root + '/link', root + '/race');
      renameSync(root + '/race', root + '/link');
      renameSync(root + '/away', root + '/race');
    } catch {
      // stage has made race while it was away: it takes part from now on.
      try { renameSync(root + '/link', root + '/gone' + Math.random()); symlinkSync(target, root + '/link'); } catch { }
      try { renameSync(root + '/away', root + '/old' + Math.random()); } catch { }
    }
  }
`;
