import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { native } from '../../runtime/kernel/addon.js';
import { O_RDONLY } from '../../runtime/kernel/constants/open.js';
import { closeAll } from '../../runtime/kernel/fd.js';
import { parseSignal } from '../../runtime/kernel/signals.js';
import { failureOf, openFds, withFolder, withoutLeak } from './support.js';

let shell = -1;
let nothing = -1;
beforeAll(() => {
  shell = native.open('/bin/sh', O_RDONLY);
  nothing = native.open('/dev/null', O_RDONLY);
});
afterAll(() => closeAll([shell, nothing]));

/** Waits for the end; the wait status as wait(2) has it. */
function ended(pidfd: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const watcher = native.watch(pidfd, 1, () => {
      watcher.close();
      const status = native.waitPidfd(pidfd);
      native.close(pidfd);
      if (status === null) reject(new Error('a pidfd is readable before its process has ended'));
      else resolve(status);
    });
  });
}

/** Runs a script; what it wrote to descriptor `outputAt`, which is a pipe, and its status. */
async function run(script: string, place: (output: number) => number[], env: string[] = []) {
  const before = openFds();
  const [read, write] = native.pipe();
  const { pid, pidfd } = native.spawn(shell, ['sh', '-c', script], env, place(write));
  native.close(write);
  const status = await ended(pidfd);
  const output = readFileSync(read, 'utf8');
  native.close(read);
  expect(openFds()).toBe(before);
  return { pid, status, output };
}

describe('spawn', () => {
  it('gives arguments, environment and exit status', async () => {
    const script = 'echo "$0 $A"; exit 7';
    const { output, status } = await run(script, (out) => [nothing, out, 2], ['A=b c']);
    expect(output).toBe('sh b c\n');
    expect(status).toBe(7 << 8);
  });

  it('leaves the child the descriptors that it is given, and no other', async () => {
    const [read, write] = native.pipe();
    // Node's own 0, 1 and 2 are not close-on-exec: the shorter lists show that they do not get through either.
    for (const fds of [[read, nothing, nothing, read, nothing], [read], []]) {
      const { pid, pidfd } = native.spawn(shell, ['sh', '-c', 'kill -STOP $$'], [], fds);
      await vi.waitUntil(() => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')), { timeout: 30_000 });
      const seen = readdirSync(`/proc/${pid}/fd`).map((name) => [name, readlinkSync(`/proc/${pid}/fd/${name}`)]);
      native.pidfdSendSignal(pidfd, 9);
      await ended(pidfd);
      expect(seen).toEqual(fds.map((fd, i) => [String(i), readlinkSync(`/proc/self/fd/${fd}`)]));
    }
    closeAll([read, write]);
  });

  it('puts them in any order, also where places and descriptors overlap', async () => {
    // The pipe's end has some number n; the list is so long that n is also a place, of another file.
    const { output } = await run('echo swapped', (out) => {
      const list = Array.from({ length: out + 4 }, (_, i) => i);
      const fds = list.map((i) => (i === 1 ? out : nothing));
      return fds.map((fd, i) => (i === out ? nothing : fd));
    });
    expect(output).toBe('swapped\n');

    const [a, b] = [native.open('/proc', O_RDONLY), native.open('/sys', O_RDONLY)];
    const list = Array.from({ length: Math.max(a, b) + 1 }, () => nothing);
    [list[a], list[b]] = [b, a]; // each stands where the other was
    const places = await run(`readlink /proc/$$/fd/${a} /proc/$$/fd/${b}`, (out) => [
      nothing,
      out,
      ...list.slice(2).map((fd, i) => (i + 2 === out ? nothing : fd)),
    ]);
    expect(places.output).toBe('/sys\n/proc\n');
    closeAll([a, b]);
  });

  it('gives signals at their defaults, and none blocked', async () => {
    const { output } = await run('exec cat /proc/self/status', (out) => [nothing, out, 2], ['PATH=/usr/bin:/bin']);
    // Node ignores SIGPIPE, which must not be inherited.
    for (const field of ['SigBlk', 'SigIgn']) expect(output, field).toMatch(new RegExp(`^${field}:\\s+0{16}$`, 'm'));
  });

  it('leaves Node its own signals', () => {
    const fields = () => readFileSync('/proc/self/status', 'utf8').match(/^Sig(Blk|Ign|Cgt):.*$/gm);
    const before = fields();
    const { pidfd } = native.spawn(shell, ['sh', '-c', ':'], [], []);
    expect(fields()).toEqual(before);
    return ended(pidfd);
  });

  it('makes children that signals reach by pidfd, and tells how they ended', async () => {
    const { pid, pidfd } = native.spawn(shell, ['sh', '-c', 'read line'], [], [native.pipe()[0]]);
    expect(native.waitPidfd(pidfd)).toBeNull();
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    native.pidfdSendSignal(pidfd, parseSignal('TERM'));
    expect(await ended(pidfd)).toBe(15);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  it('lets a process be waited for once', async () => {
    const { pidfd } = native.spawn(shell, ['sh', '-c', 'exit 1'], [], []);
    const copy = native.dup(pidfd);
    await ended(pidfd);
    expect(failureOf(() => native.waitPidfd(copy)).message).toMatch(
      /^waitid\(P_PIDFD, \d+, WEXITED\|WNOHANG\): ECHILD/,
    );
    expect(failureOf(() => native.pidfdSendSignal(copy, 15)).message).toMatch(/: ESRCH \(the process has ended\)$/);
    native.close(copy);
  });

  it('is out of the way of child_process', async () => {
    const { spawn } = await import('node:child_process');
    const mine = native.spawn(shell, ['sh', '-c', 'exit 3'], [], []);
    const node = spawn('/bin/sh', ['-c', 'exit 4']);
    const [[code], status] = await Promise.all([once(node, 'exit'), ended(mine.pidfd)]);
    expect([code, status]).toEqual([4, 3 << 8]);
  });
});

describe('spawn fails', () => {
  it('with the child’s errno, and leaves neither process nor descriptor', () =>
    withFolder((folder) => {
      const notAProgram = native.sealedMemfd('text', Buffer.from('hello'));
      const script = native.sealedMemfd('script', Buffer.from('#!/no/such/interpreter\n'));
      const directory = native.open(folder, O_RDONLY);
      withoutLeak(() => {
        expect(failureOf(() => native.spawn(notAProgram, ['x', 'y'], ['A=b'], [0])).message).toBe(
          `execveat(${notAProgram}, "", ["x", ...], [1 vars], AT_EMPTY_PATH): ENOEXEC (the file is not a program of this machine)`,
        );
        expect(failureOf(() => native.spawn(script, ['x'], [], [])).syscall?.errno).toBe('ENOENT');
        expect(failureOf(() => native.spawn(directory, ['x'], [], [])).syscall?.errno).toBe('EACCES');
        expect(failureOf(() => native.spawn(9999, ['x'], [], [])).message).toBe('fcntl([]): EBADF');
        expect(failureOf(() => native.spawn(shell, ['x'], [], [0, 9999])).message).toBe('fcntl([0, 9999]): EBADF');
        expect(failureOf(() => native.spawn(shell, ['x'], [], [-1])).message).toBe('fcntl([-1]): EBADF');
      });
      closeAll([notAProgram, script, directory]);
      const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
      expect(children).toBe('');
    }));

  it('for arguments that are too long', () => {
    const huge = 'x'.repeat(200_000); // MAX_ARG_STRLEN is 128 KiB
    expect(failureOf(() => native.spawn(shell, ['sh', huge], [], [])).syscall?.errno).toBe('E2BIG');
  });
});

describe('a sealed program in memory', () => {
  it('runs, and cannot be written through /proc/PID/exe', async () => {
    const program = native.sealedMemfd('sleeper', readFileSync('/bin/sh'));
    const [read, write] = native.pipe();
    const { pid, pidfd } = native.spawn(program, ['sh', '-c', 'read line'], [], [read]);
    try {
      // CVE-2019-5736: a container that overwrote the runtime through this link.
      expect(() => writeSync(native.open(join('/proc', String(pid), 'exe'), 1), 'x')).toThrow(/ETXTBSY|EPERM/);
    } finally {
      closeAll([program, read, write]);
      expect(await ended(pidfd)).toBeGreaterThanOrEqual(0);
    }
  });
});
