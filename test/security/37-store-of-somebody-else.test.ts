/**
 * Attack 37: root is given a store that another user can change (`--root` with a folder of his). He puts a symbolic link in the place of one of
 * its folders, and what root writes or collects is elsewhere. As git(1) and ssh(1) with theirs, such a folder is not used (CVE-2022-24765).
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ImageStore } from '../../runtime/image/store/index.js';

describe('a store that somebody else can change', () => {
  let folder: string;
  let root: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tare-foreign-'));
    root = join(folder, 'images');
    mkdirSync(root);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it.skipIf(process.geteuid?.() !== 0).each([
    ['belongs to him', () => chownSync(root, 12_345, 12_345), /belongs to user 12345/],
    ['is open to all', () => chmodSync(root, 0o777), /everybody can write to/],
    ['lies in a folder of his', () => chownSync(folder, 12_345, 12_345), /belongs to user 12345/],
    ['lies in a folder that is open to all', () => chmodSync(folder, 0o777), /everybody can write to/],
  ])('is not used: it %s', async (_, give, message) => {
    give();
    mkdirSync(join(folder, 'precious/trash-cat'), { recursive: true });
    writeFileSync(join(folder, 'precious/trash-cat/picture'), 'x');
    symlinkSync('../precious', join(root, 'ingest'));
    const attempt = async () => {
      using store = await ImageStore.open(root);
      await store.collectGarbage({ partials: true });
    };
    await expect(attempt()).rejects.toMatchObject({ code: 'permission', message: expect.stringMatching(message) });
    expect(existsSync(join(folder, 'precious/trash-cat/picture'))).toBe(true);
    expect(readdirSync(root)).toEqual(['ingest']);
  });

  it('a folder of our own is used, also one that others can read', async () => {
    chmodSync(root, 0o755);
    using store = await ImageStore.open(root);
    expect((await store.verify()).problems).toEqual([]);
  });
});
