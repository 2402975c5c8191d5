import { mkdirSync, readdirSync, readFileSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { O_RDONLY } from '../../runtime/kernel/constants/open.js';
import { closeAll, OwnedFd } from '../../runtime/kernel/fd.js';
import { isUnmakable, makeFolders, writeFileAtomic } from '../../runtime/kernel/files.js';
import { DirectoryLock } from '../../runtime/kernel/lock.js';
import { failureOf, openFds, withFolder } from './support.js';

describe('folders', () => {
  const thrownBy = (work: () => void): unknown => {
    try {
      work();
    } catch (error) {
      return error;
    }
    throw new Error('it did not fail');
  };

  it('are made with those above them, for nobody else', () =>
    withFolder((folder) => {
      makeFolders(join(folder, 'a/b/c'));
      makeFolders(join(folder, 'a/b/c'));
      for (const path of ['a', 'a/b', 'a/b/c']) expect(statSync(join(folder, path)).mode & 0o777).toBe(0o700);
    }));

  it('that cannot be made are an error that ends', () =>
    withFolder((folder) => {
      expect(() => makeFolders('/proc/no/such')).toThrow(expect.objectContaining({ code: 'ENOENT', path: '/proc/no' }));
      writeFileSync(join(folder, 'file'), '');
      expect(() => makeFolders(join(folder, 'file/x'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
      for (const path of ['/proc/no/such', join(folder, 'file/x'), join(folder, 'file')])
        expect(isUnmakable(thrownBy(() => makeFolders(path)))).toBe(true);
      expect(isUnmakable(thrownBy(() => readFileSync('/proc/no/such')))).toBe(false);
    }));
});

describe('a descriptor with an owner', () => {
  it('is closed once', () => {
    const before = openFds();
    const file = new OwnedFd(native.open('/', O_RDONLY));
    expect(openFds()).toBe(before + 1);
    file.close();
    const another = native.open('/', O_RDONLY); // takes the same number
    file.close();
    file[Symbol.dispose]();
    expect(openFds()).toBe(before + 1);
    native.close(another);
  });

  it('is closed by `using`, also when something throws', () => {
    const before = openFds();
    expect(() => {
      using file = new OwnedFd(native.open('/', O_RDONLY));
      expect(file.isOpen).toBe(true);
      throw new Error('on the way');
    }).toThrow('on the way');
    expect(openFds()).toBe(before);
  });

  it('cannot be used once it is closed or given away', () => {
    const file = new OwnedFd(native.open('/', O_RDONLY));
    const fd = file.release();
    expect(file.isOpen).toBe(false);
    expect(failureOf(() => file.fd)).toMatchObject({
      code: 'internal',
      message: 'a descriptor is used after it was closed',
    });
    native.close(fd);
    expect(failureOf(() => new OwnedFd(-1)).code).toBe('internal');
  });

  it('many are closed even when one of them cannot be', () => {
    const before = openFds();
    const fds = [native.open('/', O_RDONLY), 9999, native.open('/', O_RDONLY)];
    expect(failureOf(() => closeAll(fds)).message).toBe('close(9999): EBADF');
    expect(openFds()).toBe(before);
  });
});

describe('an atomic write', () => {
  it('makes a file that only its owner reads, or replaces one', () =>
    withFolder((folder) => {
      const path = join(folder, 'state.json');
      writeFileAtomic(path, 'one');
      expect(statSync(path).mode & 0o777).toBe(0o600);
      const { ino } = statSync(path);
      writeFileAtomic(path, Buffer.from('two'), { mode: 0o644, durable: true });
      expect(readFileSync(path, 'utf8')).toBe('two');
      expect(statSync(path)).toMatchObject({ mode: 0o100644 });
      expect(statSync(path).ino).not.toBe(ino);
      expect(readdirSync(folder)).toEqual(['state.json']);
    }));

  it('that fails leaves the old, and nothing beside it', () =>
    withFolder((folder) => {
      const path = join(folder, 'taken');
      mkdirSync(path);
      writeFileSync(join(path, 'inside'), 'x');
      expect(() => writeFileAtomic(path, 'new')).toThrow(/EISDIR/);
      expect(readdirSync(folder)).toEqual(['taken']);
      expect(() => writeFileAtomic(join(folder, 'no', 'folder'), 'x')).toThrow(/ENOENT/);
    }));
});

describe('the lock of a directory', () => {
  it('is held by one at a time', () =>
    withFolder(async (folder) => {
      const before = openFds();
      const lock = await DirectoryLock.acquire(folder);
      expect(statSync(join(folder, 'lock')).mode & 0o777).toBe(0o600);
      await expect(DirectoryLock.acquire(folder)).rejects.toMatchObject({
        code: 'busy',
        message: `${join(folder, 'lock')} is locked by another process`,
      });
      await expect(DirectoryLock.acquire(folder, { shared: true })).rejects.toMatchObject({ code: 'busy' });
      lock.release();
      lock.release();
      (await DirectoryLock.acquire(folder)).release();
      expect(openFds()).toBe(before);
    }));

  it('may be shared by readers', () =>
    withFolder(async (folder) => {
      const readers = [
        await DirectoryLock.acquire(folder, { shared: true }),
        await DirectoryLock.acquire(folder, { shared: true }),
      ];
      await expect(DirectoryLock.acquire(folder)).rejects.toMatchObject({ code: 'busy' });
      for (const reader of readers) reader.release();
      (await DirectoryLock.acquire(folder)).release();
    }));

  it('is waited for', () =>
    withFolder(async (folder) => {
      const first = await DirectoryLock.acquire(folder);
      const order: string[] = [];
      const second = DirectoryLock.acquire(folder, { waitMs: 30_000 }).then((lock) => {
        order.push('acquired');
        lock.release();
      });
      await new Promise((resolve) => setTimeout(resolve, 20));
      order.push('released');
      first.release();
      await second;
      expect(order).toEqual(['released', 'acquired']);
    }));

  it('ends with the process that holds it', () =>
    withFolder(async (folder) => {
      const shell = native.open('/bin/sh', O_RDONLY);
      const lockFile = join(folder, 'lock');
      writeFileSync(lockFile, '');
      const held = native.open(lockFile, O_RDONLY);
      native.flock(held, 2);
      const [read, write] = native.pipe();
      // The child inherits the locked descriptor; ours is closed, so the child alone holds the lock.
      const { pidfd } = native.spawn(shell, ['sh', '-c', 'read line'], [], [read, held]);
      closeAll([held, shell, read]);
      await expect(DirectoryLock.acquire(folder)).rejects.toMatchObject({ code: 'busy' });
      native.pidfdSendSignal(pidfd, 9);
      (await DirectoryLock.acquire(folder, { waitMs: 30_000 })).release();
      await vi.waitUntil(() => native.waitPidfd(pidfd) !== null, { timeout: 30_000 });
      closeAll([write, pidfd]);
    }));
});

describe('an event descriptor', () => {
  it('can be read once something was added to it, and tells the event loop', async () => {
    const before = openFds();
    const fd = native.eventfd();
    try {
      expect(() => readSync(fd, Buffer.alloc(8))).toThrow('EAGAIN');
      const told = new Promise<void>((resolve) => {
        const watcher = native.watch(fd, 1, () => {
          watcher.close();
          resolve();
        });
      });
      writeSync(fd, Buffer.from(BigUint64Array.of(2n).buffer));
      await told;
      const count = Buffer.alloc(8);
      readSync(fd, count);
      expect(count.readBigUInt64LE()).toBe(2n);
    } finally {
      native.close(fd);
    }
    expect(openFds()).toBe(before);
  });
});
