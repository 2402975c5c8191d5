/** Numbers that are none, or are none of the kernel's: refused before the kernel sees another one. CVE-2024-40635 is what comes of it. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { AT_EMPTY_PATH, O_DIRECTORY, O_PATH } from '../../runtime/kernel/constants/open.js';
import { S_IFIFO } from '../../runtime/kernel/constants/stat.js';

const AT_FDCWD = -100;

describe('what is no number of the kernel’s', () => {
  let folder: string;
  let dir: number;
  let file: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tare-values-'));
    dir = native.open(folder, O_PATH | O_DIRECTORY);
    file = join(folder, 'file');
    writeFileSync(file, 'x', { mode: 0o600 });
  });
  afterAll(() => {
    native.close(dir);
    rmSync(folder, { recursive: true, force: true });
  });

  const no32 = [2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1, -1, Number.NaN, 0.5, Number.POSITIVE_INFINITY];

  it.each(no32)('becomes no owner, mode, device or flag: %s', (value) => {
    const before = statSync(file);
    expect(() => native.fchownat(dir, 'file', value, 1, 0)).toThrow(TypeError);
    expect(() => native.fchownat(dir, 'file', 1, value, 0)).toThrow(TypeError);
    expect(() => native.fchmodat(dir, 'file', value, 0)).toThrow(TypeError);
    expect(() => native.mkdirat(dir, 'made', value)).toThrow(TypeError);
    expect(() => native.mknodat(dir, 'made', value, 0, 0)).toThrow(TypeError);
    expect(() => native.mknodat(dir, 'made', S_IFIFO | 0o600, value, 0)).toThrow(TypeError);
    expect(() => native.mknodat(dir, 'made', S_IFIFO | 0o600, 0, value)).toThrow(TypeError);
    expect(() => native.renameat2(dir, 'file', dir, 'made', value)).toThrow(TypeError);
    const { uid, gid, mode } = statSync(file);
    expect({ uid, gid, mode }).toEqual({ uid: before.uid, gid: before.gid, mode: before.mode });
    expect(statSync(join(folder, 'made'), { throwIfNoEntry: false })).toBeUndefined();
  });

  it.each([...no32.filter((value) => value !== -1), -(2 ** 31) - 1, 2 ** 31])(
    'becomes no descriptor that somebody is given: %s',
    (value) => {
      const [a, b] = native.socketpair();
      try {
        expect(() => native.sendmsg(a, Buffer.from('x'), [value])).toThrow(TypeError);
      } finally {
        native.close(a);
        native.close(b);
      }
    },
  );

  it('a time that is too far away for 64 bits of nanoseconds is the last that they have', (ctx) => {
    // tmpfs keeps what it is told.
    const far = mkdtempSync('/dev/shm/tare-values-');
    try {
      const path = join(far, 'f');
      closeSync(openSync(path, 'w'));
      execFileSync('touch', ['-d', '@99999999999', path]);
      if (!execFileSync('stat', ['-c', '%Y', path], { encoding: 'utf8' }).startsWith('99999999999'))
        ctx.skip('/dev/shm keeps no such time here');
      expect(native.fstatat(AT_FDCWD, path, 0)?.mtimeNs).toBe(2n ** 63n - 1n);
      execFileSync('touch', ['-d', '@-99999999999', path]);
      expect(native.fstatat(AT_FDCWD, path, 0)?.mtimeNs).toBe(-(2n ** 63n));
      expect(native.fstatat(dir, '', AT_EMPTY_PATH)?.mtimeNs).toBeGreaterThan(0n);
    } finally {
      rmSync(far, { recursive: true, force: true });
    }
  });
});
