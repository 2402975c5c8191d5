import { execFileSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { closeAll } from '../../runtime/kernel/fd.js';
import { nativeFile } from '../../runtime/kernel/places.js';
import { until } from '../harness/until.js';
import { failureOf, openFds } from './support.js';

const READABLE = 1;
const WRITABLE = 2;
const DISCONNECT = 4;
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('watch', () => {
  it('tells that something can be read, again until it has been', async () => {
    const pair = native.socketpair();
    let times = 0;
    const watcher = native.watch(pair[0], READABLE, (events) => {
      expect(events).toBe(READABLE);
      times++;
    });
    await turn();
    expect(times).toBe(0);
    native.sendmsg(pair[1], Buffer.from('x'));
    await turn();
    await turn();
    expect(times).toBeGreaterThan(1);
    native.recvmsg(pair[0], 1, 0);
    await turn();
    const then = times;
    await turn();
    expect(times).toBe(then);
    watcher.close();
    closeAll(pair);
  });

  it('tells that there is room, and that the other side has gone', async () => {
    const pair = native.socketpair();
    const seen = await new Promise<number>((resolve) => {
      const watcher = native.watch(pair[0], WRITABLE, (events) => {
        watcher.close();
        resolve(events);
      });
    });
    expect(seen).toBe(WRITABLE);
    const gone = new Promise<number>((resolve) => {
      const watcher = native.watch(pair[0], READABLE | DISCONNECT, (events) => {
        watcher.close();
        resolve(events);
      });
    });
    native.close(pair[1]);
    expect((await gone) & DISCONNECT).toBe(DISCONNECT);
    native.close(pair[0]);
  });

  it('tells of a pipe that nobody reads any more', async () => {
    const [read, write] = native.pipe();
    native.close(read);
    const seen = await new Promise<number>((resolve) => {
      const watcher = native.watch(write, WRITABLE, (events) => {
        watcher.close();
        resolve(events);
      });
    });
    expect(seen & WRITABLE).toBe(WRITABLE);
    native.close(write);
  });

  it('stops by close, which may be called from the callback and again', async () => {
    const pair = native.socketpair();
    const before = openFds();
    let times = 0;
    const watcher = native.watch(pair[0], READABLE, () => {
      times++;
      watcher.close();
      watcher.close();
      watcher.unref();
    });
    native.sendmsg(pair[1], Buffer.from('x'));
    await turn();
    await turn();
    await turn();
    expect(times).toBe(1);
    watcher.close();
    closeAll(pair);
    await turn();
    expect(openFds()).toBe(before - 2);
  });

  it('lets the number be used again after close', async () => {
    for (let i = 0; i < 50; i++) {
      const pair = native.socketpair();
      const seen = new Promise<void>((resolve) => {
        const watcher = native.watch(pair[0], READABLE, () => {
          watcher.close();
          resolve();
        });
      });
      native.sendmsg(pair[1], Buffer.from('x'));
      await seen;
      closeAll(pair);
    }
  });

  it('refuses what cannot be watched', () => {
    const file = native.open('/etc/passwd', 0);
    expect(failureOf(() => native.watch(file, READABLE, () => undefined)).message).toBe(
      `epoll_ctl(EPOLL_CTL_ADD, ${file}): EPERM`,
    );
    native.close(file);
    expect(failureOf(() => native.watch(9999, READABLE, () => undefined)).message).toBe(
      'epoll_ctl(EPOLL_CTL_ADD, 9999): EBADF',
    );
  });

  it('refuses a descriptor that is watched already', () => {
    const pair = native.socketpair();
    const watcher = native.watch(pair[0], READABLE, () => undefined);
    const error = failureOf(() => native.watch(pair[0], READABLE, () => undefined));
    expect(error.syscall?.errno).toBe('EEXIST');
    watcher.close();
    closeAll(pair);
  });
});

describe('watchSignal', () => {
  const RTMIN_3 = 37;

  it.each([12, RTMIN_3])('tells of the signal %i, each time, until it is closed', async (number) => {
    const got: number[] = [];
    // Without another watcher the signal would end this process.
    const other = native.watchSignal(number, () => undefined);
    const watcher = native.watchSignal(number, (signal) => void got.push(signal));
    const sent = () => execFileSync('kill', [`-${number}`, `${process.pid}`]);
    sent();
    await until(() => got.length === 1);
    sent();
    await until(() => got.length === 2);
    watcher.close();
    watcher.close();
    sent();
    await turn();
    expect(got).toEqual([number, number]);
    other.close();
  });

  it.each([0, 9, 19, 32, 65, -1])('refuses %i, which nobody can handle', (number) => {
    const error = failureOf(() => native.watchSignal(number, () => undefined));
    expect(error.message).toBe(`sigaction(${number}): EINVAL`);
  });
});

// What ends a process, or an environment, is tried in one of its own.
describe('watch in an environment of its own', () => {
  const addon = JSON.stringify(nativeFile('tare.node'));
  const inWorker = async (code: string) => {
    const worker = new Worker(`const native = require(${addon}); ${code}`, { eval: true });
    const errors: Error[] = [];
    worker.on('error', (error) => errors.push(error));
    const exit = await new Promise((resolve) => worker.once('exit', resolve));
    return { exit, errors };
  };

  it('gives an exception of the callback to uncaughtException', async () => {
    const { exit, errors } = await inWorker(`
      const [a, b] = native.socketpair();
      native.watch(a, 1, () => { throw new Error('from the callback'); });
      native.sendmsg(b, Buffer.from('x'));`);
    expect(exit).toBe(1);
    expect(errors.map((error) => error.message)).toEqual(['from the callback']);
  });

  it('keeps it alive, unless unreferenced', async () => {
    expect((await inWorker('native.watch(native.socketpair()[0], 1, () => {}).unref();')).exit).toBe(0);
  });

  it('is closed when the environment ends', async () => {
    const code = 'native.watch(native.socketpair()[0], 1, () => {}); setImmediate(() => process.exit(5));';
    expect((await inWorker(code)).exit).toBe(5);
  });

  it('runs promises and microtasks after the callback', async () => {
    const { exit } = await inWorker(`
      const [a, b] = native.socketpair();
      const watcher = native.watch(a, 1, () => {
        Promise.resolve().then(() => { watcher.close(); process.exitCode = 9; });
      });
      native.sendmsg(b, Buffer.from('x'));`);
    expect(exit).toBe(9);
  });
});
