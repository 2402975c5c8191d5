/** The calls on files by a directory's descriptor: native/addon/tree.cc, attributes.cc and content.cc. */
import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, lstatSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import {
  KEEP_ID,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  SEEK_DATA,
  SEEK_HOLE,
} from '../../runtime/kernel/constants/files.js';
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  RESOLVE_BENEATH,
} from '../../runtime/kernel/constants/open.js';
import { S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from '../../runtime/kernel/constants/stat.js';
import { OwnedFd } from '../../runtime/kernel/fd.js';
import type { DirectoryEntry } from '../../runtime/kernel/native-files.js';
import { failureOf, openFds, withFolder } from './support.js';

/** A folder by an O_PATH descriptor. */
function inFolder(act: (dirfd: number, folder: string) => void): Promise<void> {
  return withFolder((folder) => {
    const before = openFds();
    {
      using directory = new OwnedFd(native.open(folder, O_PATH | O_DIRECTORY));
      act(directory.fd, folder);
    }
    expect(openFds()).toBe(before);
  });
}

/** Opens a name without following it. */
function open(dirfd: number, name: string, flags: number): OwnedFd {
  return new OwnedFd(native.openat2(dirfd, name, flags | O_NOFOLLOW, flags & O_CREAT ? 0o600 : 0, RESOLVE_BENEATH));
}

function list(dirfd: number, name: string): DirectoryEntry[] {
  using directory = open(dirfd, name, O_RDONLY | O_DIRECTORY);
  const all: DirectoryEntry[] = [];
  for (let some = native.getdents(directory.fd); some.length > 0; some = native.getdents(directory.fd))
    all.push(...some);
  return all.filter((entry) => !['.', '..'].includes(entry.name.toString('latin1')));
}

describe('names in a directory', () => {
  it('are made, linked, renamed and removed', () =>
    inFolder((dirfd, folder) => {
      native.mkdirat(dirfd, 'd', 0o755);
      native.symlinkat('to/where', dirfd, 's');
      native.mknodat(dirfd, 'fifo', S_IFIFO | 0o600, 0, 0);
      native.mknodat(dirfd, 'null', S_IFCHR | 0o600, 1, 3);
      native.linkat(dirfd, 's', dirfd, 'd/again', 0);
      expect(readlinkSync(join(folder, 'd/again'))).toBe('to/where');
      expect(native.readlinkat(dirfd, 's')).toEqual(Buffer.from('to/where'));
      expect(native.fstatat(dirfd, 'null', 0)).toMatchObject({ rdevMajor: 1, rdevMinor: 3 });
      expect(Object.fromEntries(list(dirfd, '.').map(({ name, type }) => [name.toString(), type]))).toEqual({
        d: S_IFDIR,
        s: S_IFLNK,
        fifo: S_IFIFO,
        null: S_IFCHR,
      });
      native.renameat2(dirfd, 'fifo', dirfd, 'pipe', RENAME_NOREPLACE);
      expect(failureOf(() => native.renameat2(dirfd, 'pipe', dirfd, 's', RENAME_NOREPLACE)).syscall?.errno).toBe(
        'EEXIST',
      );
      native.renameat2(dirfd, 'pipe', dirfd, 's', RENAME_EXCHANGE);
      expect(readlinkSync(join(folder, 'pipe'))).toBe('to/where');
      expect(failureOf(() => native.unlinkat(dirfd, 'd', 0)).syscall?.errno).toBe('EISDIR');
      expect(failureOf(() => native.unlinkat(dirfd, 'd', AT_REMOVEDIR)).syscall?.errno).toBe('ENOTEMPTY');
      for (const name of ['d/again', 's', 'pipe', 'null']) native.unlinkat(dirfd, name, 0);
      native.unlinkat(dirfd, 'd', AT_REMOVEDIR);
      expect(list(dirfd, '.')).toEqual([]);
    }));

  it('are bytes', () =>
    inFolder((dirfd) => {
      const name = Buffer.from([0x66, 0xff, 0xc3, 0x0a]);
      native.mkdirat(dirfd, name, 0o700);
      native.symlinkat(name, dirfd, Buffer.from([0xfe]));
      expect(native.readlinkat(dirfd, Buffer.from([0xfe]))).toEqual(name);
      expect(
        list(dirfd, '.')
          .map((entry) => entry.name.toString('hex'))
          .sort(),
      ).toEqual(['66ffc30a', 'fe']);
      expect(() => native.mkdirat(dirfd, 'a\0b', 0o700)).toThrow(TypeError);
      expect(() => native.mkdirat(dirfd, Buffer.from('a\0b'), 0o700)).toThrow(TypeError);
      expect(() => native.mkdirat(dirfd, 7 as unknown as string, 0o700)).toThrow(TypeError);
    }));

  it('are listed in parts, to the end', () =>
    inFolder((dirfd) => {
      const names = Array.from({ length: 1500 }, (_, i) => `${'long'.repeat(10)}${i}`);
      for (const name of names) native.symlinkat('x', dirfd, name);
      expect(
        list(dirfd, '.')
          .map((entry) => entry.name.toString())
          .sort(),
      ).toEqual([...names].sort());
    }));
});

describe('what a file is', () => {
  it('is told to the nanosecond, and null of what is not there', () =>
    inFolder((dirfd, folder) => {
      writeFileSync(join(folder, 'f'), 'seven b');
      linkSync(join(folder, 'f'), join(folder, 'g'));
      native.utimensat(dirfd, 'f', -1n, 1_700_000_000_123_456_789n, AT_SYMLINK_NOFOLLOW);
      const node = lstatSync(join(folder, 'f'), { bigint: true });
      expect(native.fstatat(dirfd, 'f', AT_SYMLINK_NOFOLLOW)).toMatchObject({
        mode: Number(node.mode),
        size: 7,
        nlink: 2,
        ino: node.ino,
        atimeNs: -1n,
        mtimeNs: 1_700_000_000_123_456_789n,
        ctimeNs: node.ctimeNs,
      });
      expect(native.fstatat(dirfd, 'h', 0)).toBeNull();
      expect(failureOf(() => native.fstatat(dirfd, 'f/x', 0)).syscall).toMatchObject({
        name: 'statx',
        errno: 'ENOTDIR',
      });
      native.utimensat(dirfd, 'f', undefined, 5n, 0);
      expect(native.fstatat(dirfd, 'f', 0)).toMatchObject({ atimeNs: -1n, mtimeNs: 5n });
      expect(() => native.utimensat(dirfd, 'f', 1n << 70n, 5n, 0)).toThrow(TypeError);
    }));

  it('is changed without following a symbolic link, and by an O_PATH descriptor', () =>
    inFolder((dirfd, folder) => {
      writeFileSync(join(folder, 'f'), '', { mode: 0o600 });
      symlinkSync('f', join(folder, 's'));
      native.fchownat(dirfd, 's', 1, 2, AT_SYMLINK_NOFOLLOW);
      native.utimensat(dirfd, 's', 1n, 2n, AT_SYMLINK_NOFOLLOW);
      expect(failureOf(() => native.fchmodat(dirfd, 's', 0o777, AT_SYMLINK_NOFOLLOW)).syscall?.errno).toBe(
        'EOPNOTSUPP',
      );
      expect(native.fstatat(dirfd, 's', AT_SYMLINK_NOFOLLOW)).toMatchObject({ uid: 1, gid: 2, mtimeNs: 2n });
      expect(native.fstatat(dirfd, 'f', 0)).toMatchObject({ uid: 0, gid: 0, mode: S_IFREG | 0o600 });
      using file = open(dirfd, 'f', O_PATH);
      native.fchownat(file.fd, '', 3, KEEP_ID, AT_EMPTY_PATH);
      native.fchmodat(file.fd, '', 0o4755, AT_EMPTY_PATH);
      native.utimensat(file.fd, '', 3n, 4n, AT_EMPTY_PATH);
      expect(native.fstatat(file.fd, '', AT_EMPTY_PATH)).toMatchObject({
        uid: 3,
        gid: 0,
        mode: S_IFREG | 0o4755,
        atimeNs: 3n,
        mtimeNs: 4n,
      });
    }));

  it('has extended attributes, binary, of symbolic links too', () =>
    inFolder((dirfd, folder) => {
      writeFileSync(join(folder, 'f'), '');
      symlinkSync('nowhere', join(folder, 's'));
      for (const [name, flags] of [
        ['f', O_RDONLY],
        ['f', O_PATH],
        ['s', O_PATH],
      ] as const) {
        using file = open(dirfd, name, flags);
        const value = Buffer.from([0, 1, 0xff, 0]);
        native.setxattr(file.fd, 'trusted.tare-test', value);
        expect(native.getxattr(file.fd, 'trusted.tare-test')).toEqual(value);
        expect(native.listxattr(file.fd).map(String)).toEqual(['trusted.tare-test']);
        native.removexattr(file.fd, 'trusted.tare-test');
        expect(native.getxattr(file.fd, 'trusted.tare-test')).toBeNull();
        expect(native.listxattr(file.fd)).toEqual([]);
        expect(failureOf(() => native.removexattr(file.fd, 'trusted.tare-test')).syscall?.errno).toBe('ENODATA');
      }
      using file = open(dirfd, 'f', O_RDONLY);
      const big = Buffer.alloc(3000, 7);
      native.setxattr(file.fd, 'user.big', big);
      expect(native.getxattr(file.fd, 'user.big')).toEqual(big);
      expect(failureOf(() => native.setxattr(file.fd, 'user.huge', Buffer.alloc(70_000))).syscall?.errno).toBe('E2BIG');
    }));

  it('keeps its capabilities as setcap writes them', () =>
    inFolder((dirfd, folder) => {
      writeFileSync(join(folder, 'f'), '');
      chmodSync(join(folder, 'f'), 0o755);
      execFileSync('/usr/sbin/setcap', ['cap_net_raw=ep', join(folder, 'f')]);
      using file = open(dirfd, 'f', O_PATH);
      expect(native.getxattr(file.fd, 'security.capability')).toHaveLength(20);
    }));
});

describe('what is in a file', () => {
  it('is written where it is told, and its holes are found', () =>
    inFolder((dirfd, folder) => {
      using file = open(dirfd, 'f', O_CREAT | O_RDWR);
      native.write(file.fd, Buffer.from('one'));
      native.write(file.fd, Buffer.from(' two'));
      native.ftruncate(file.fd, 1 << 20);
      native.write(file.fd, Buffer.from('far'), 512 * 1024);
      expect(readFileSync(join(folder, 'f')).subarray(0, 8).toString()).toBe('one two\0');
      expect(native.lseek(file.fd, 0, SEEK_HOLE)).toBeLessThan(512 * 1024);
      expect(native.lseek(file.fd, 65_536, SEEK_DATA)).toBe(512 * 1024);
      expect(native.lseek(file.fd, 600 * 1024, SEEK_DATA)).toBe(-1);
      expect((native.fstatat(file.fd, '', AT_EMPTY_PATH)?.blocks ?? 0) * 512).toBeLessThan(100_000);
    }));

  it('is copied from one file to another', () =>
    inFolder((dirfd, folder) => {
      writeFileSync(join(folder, 'from'), 'abcdefgh');
      using from = open(dirfd, 'from', O_RDONLY);
      using to = open(dirfd, 'to', O_CREAT | O_WRONLY);
      expect(native.copyFileRange(from.fd, 2, to.fd, 1, 100)).toBe(6);
      expect(native.copyFileRange(from.fd, 8, to.fd, 1, 100)).toBe(0);
      expect(readFileSync(join(folder, 'to'), 'latin1')).toBe('\0cdefgh');
      native.syncfs(to.fd);
    }));

  it('is refused with the call in the error', () => {
    expect(failureOf(() => native.write(-1, Buffer.from('x'))).message).toBe('write(-1, ..., 1): EBADF');
    expect(failureOf(() => native.mkdirat(-1, 'a"b', 0o700)).message).toBe('mkdirat(-1, "a\\"b", 0700): EBADF');
    expect(native.fstatat(-100, '/', 0)?.mode ?? 0).toSatisfy((mode: number) => (mode & S_IFMT) === S_IFDIR);
  });
});
