/** Cache folders: who shares one, who waits, who gets another. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openCacheFolder, pruneCacheFolders } from '../../../runtime/image/build/cache-mounts.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tare-cache-mounts-'));
});
afterEach(() => rmSync(root, { recursive: true }));

it('is there again, with what was put into it', async () => {
  {
    using first = await openCacheFolder(root, { id: 'a', sharing: 'shared', mode: 0o711, uid: 7 });
    writeFileSync(join(first.path, 'kept'), '');
    expect(statSync(first.path)).toMatchObject({ mode: 0o40711, uid: 7 });
  }
  using again = await openCacheFolder(root, { id: 'a', sharing: 'locked' });
  expect(existsSync(join(again.path, 'kept'))).toBe(true);
  using other = await openCacheFolder(root, { id: 'b', sharing: 'locked' });
  expect(other.path).not.toBe(again.path);
});

it('shared is one for all, private is one of each', async () => {
  using one = await openCacheFolder(root, { id: 'a', sharing: 'shared' });
  using two = await openCacheFolder(root, { id: 'a', sharing: 'shared' });
  expect(two.path).toBe(one.path);
  using three = await openCacheFolder(root, { id: 'a', sharing: 'private' });
  using four = await openCacheFolder(root, { id: 'a', sharing: 'private' });
  expect(new Set([one.path, three.path, four.path]).size).toBe(3);
});

it('locked waits for whoever has it', async () => {
  const first = await openCacheFolder(root, { id: 'a', sharing: 'locked' });
  let isMine = false;
  const waiting = openCacheFolder(root, { id: 'a', sharing: 'locked' }).then((folder) => {
    isMine = true;
    return folder;
  });
  const stopped = openCacheFolder(root, { id: 'a', sharing: 'locked', signal: AbortSignal.timeout(20) });
  await expect(stopped).rejects.toThrow();
  expect(isMine).toBe(false);
  first[Symbol.dispose]();
  using second = await waiting;
  expect(second.path).toBe(first.path);
});

it('begins with what fills it; where that fails there is none', async () => {
  const failing = openCacheFolder(root, { id: 'a', sharing: 'shared', fill: () => Promise.reject(new Error('no')) });
  await expect(failing).rejects.toThrow('no');
  const fill = async (path: string) => {
    mkdirSync(path);
    writeFileSync(join(path, 'begun'), '');
  };
  using folder = await openCacheFolder(root, { id: 'a', sharing: 'shared', fill });
  expect(existsSync(join(folder.path, 'begun'))).toBe(true);
});

it('is pruned when nobody uses it', async () => {
  using used = await openCacheFolder(root, { id: 'used', sharing: 'shared' });
  const unused = await openCacheFolder(root, { id: 'unused', sharing: 'shared' });
  unused[Symbol.dispose]();
  await pruneCacheFolders(root, 0);
  expect(existsSync(unused.path)).toBe(true);
  await pruneCacheFolders(root, Date.now() + 1000);
  expect([existsSync(used.path), existsSync(unused.path)]).toEqual([true, false]);
  using again = await openCacheFolder(root, { id: 'unused', sharing: 'shared' });
  expect(existsSync(again.path)).toBe(true);
});
