/** The removal of trees that were made to be hard to remove. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { O_DIRECTORY, O_PATH } from '../../runtime/kernel/constants/open.js';
import { removeTreeAt } from '../../runtime/kernel/tree.js';

describe('a tree is removed', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tare-tree-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('with names that are no text, links out of it, and names like those that are given while it goes', () => {
    const outside = join(folder, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'kept'), 'x');
    const top = join(folder, 'top');
    mkdirSync(join(top, 'a/b/c'), { recursive: true });
    mkdirSync(Buffer.concat([Buffer.from(`${top}/a/`), Buffer.from([0xff, 0x0a])]));
    symlinkSync(outside, join(top, 'a/b/link'));
    symlinkSync('/', join(top, 'root'));
    mkdirSync(join(top, `.gone-${process.pid}-0/x/y`), { recursive: true });
    writeFileSync(join(top, `.gone-${process.pid}-1`), '');
    removeTreeAt(top);
    expect(readdirSync(folder)).toEqual(['outside']);
    expect(readdirSync(outside)).toEqual(['kept']);
    removeTreeAt(top);
    removeTreeAt(join(folder, 'no/such'));
  });

  it('of a depth that no path has', () => {
    const top = join(folder, 'deep');
    mkdirSync(top);
    let fd = native.open(top, O_PATH | O_DIRECTORY);
    for (let i = 0; i < 1000; i++) {
      native.mkdirat(fd, 'deeper', 0o755);
      const next = native.openat2(fd, 'deeper', O_PATH | O_DIRECTORY, 0, 0);
      native.close(fd);
      fd = next;
    }
    native.close(fd);
    removeTreeAt(top);
    expect(readdirSync(folder)).not.toContain('deep');
  });

  it('that is a link, not what it leads to', () => {
    symlinkSync(join(folder, 'outside'), join(folder, 'link'));
    removeTreeAt(join(folder, 'link'));
    expect(readdirSync(folder)).toEqual(['outside']);
  });
});
