/** --chmod: as chmod(1) has it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseMode } from '../../../../runtime/image/build/copy/index.js';

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
