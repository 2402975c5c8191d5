import { existsSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { native, systemCallError } from '../../runtime/kernel/addon.js';
import { CLONE_NEWNET, CLONE_NEWUSER } from '../../runtime/kernel/constants/clone.js';
import { PROC_SUPER_MAGIC } from '../../runtime/kernel/constants/magic.js';
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
} from '../../runtime/kernel/constants/open.js';
import { OwnedFd } from '../../runtime/kernel/fd.js';
import { RLIMITS } from '../../runtime/kernel/rlimits.js';
import { failureOf, withFolder, withoutLeak } from './support.js';

const flagsOf = (fd: number) =>
  Number.parseInt(/^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8);
const CLOEXEC = 0o2000000;

describe('errors', () => {
  it('read like strace, and carry the call', () => {
    const error = failureOf(() => native.open('/no/such "file"', O_RDONLY));
    expect(error.code).toBe('system-call');
    expect(error.syscall).toEqual({ name: 'open', args: '"/no/such \\"file\\"", 0x80000, 00', errno: 'ENOENT' });
    expect(error.message).toBe('open("/no/such \\"file\\"", 0x80000, 00): ENOENT');
    expect(error.exitCode).toBe(125);
  });

  it.each([
    [
      () => native.openat2(AT_FDCWD, '/proc/self/exe', O_RDONLY, 0, RESOLVE_NO_SYMLINKS),
      'openat2(AT_FDCWD, "/proc/self/exe", {flags=0x80000, mode=00, resolve=0x4}, 24): ELOOP (the path has a symbolic link where none is allowed, or too many of them)',
    ],
    [() => native.close(9999), 'close(9999): EBADF'],
    [() => native.flock(9999, 2), 'flock(9999, 2): EBADF'],
    [() => native.dup(-1), 'fcntl(-1, F_DUPFD_CLOEXEC, 3): EBADF'],
    [() => native.getWindowSize(9999), 'ioctl(9999, TIOCGWINSZ): EBADF'],
    [() => native.pidfdOpen(0x3fffffff), 'pidfd_open(1073741823, 0): ESRCH (no such process)'],
    [() => native.fsMagic('/no/such'), 'statfs("/no/such"): ENOENT'],
    [() => native.nsGetType(9999), 'ioctl(9999, NS_GET_NSTYPE): EBADF'],
    [() => native.getrlimit(999), 'getrlimit(999): EINVAL'],
  ])('case %#', (act, text) => {
    expect(withoutLeak(() => failureOf(act)).message).toBe(text);
  });

  it('keep a cause, and name a number that has no name', () => {
    const cause = new Error('why');
    expect(systemCallError('mount', '"proc"', 1, cause)).toMatchObject({ message: 'mount("proc"): EPERM', cause });
    expect(systemCallError('mount', '', 4000).message).toBe('mount(): errno 4000');
  });

  it('show control characters as escapes', () => {
    expect(failureOf(() => native.open('/no\n\x1b[31m', O_RDONLY)).message).toContain('"/no\\n\\033[31m"');
  });
});

describe('arguments of a wrong type', () => {
  const loose = native as unknown as Record<string, (...args: unknown[]) => unknown>;
  it.each([
    ['open', ['/', '0'], 'argument 2 must be a 32 bit integer'],
    ['open', ['/etc\0/passwd', 0], 'argument 1 must be a string without NUL bytes'],
    ['open', [7, 0], 'argument 1 must be a string'],
    ['close', [1.5], 'argument 1 must be a 32 bit integer'],
    ['close', [Number.NaN], 'argument 1 must be a 32 bit integer'],
    ['close', [2 ** 32], 'argument 1 must be a 32 bit integer'],
    ['openat2', [0, 'x', -1, 0, 0], 'argument 3 must be an unsigned integer'],
    ['sealedMemfd', ['x', 'text'], 'argument 2 must be a Uint8Array'],
    ['sealedMemfd', ['x', new Uint16Array(1)], 'argument 2 must be a Uint8Array'],
    ['sendmsg', [0, new Uint8Array(1), ['x']], 'argument 3 must be an array of descriptors'],
    ['spawn', [0, ['a\0b'], [], []], 'argument 2 must be a string without NUL bytes'],
    ['spawn', [0, 'ls', [], []], 'argument 2 must be an array of strings'],
    ['watch', [0, 1, 'no function'], 'argument 3 must be a function'],
    ['watchSignal', [10, 'no function'], 'argument 2 must be a function'],
    ['watch', [0, 8, () => undefined], 'argument 2 must be a mask of READABLE 1, WRITABLE 2, DISCONNECT 4'],
    ['hasSyscall', [60], 'hasSyscall asks about calls from number 424 on; 60 may do something'],
  ])('%s(%j)', (name, args, text) => {
    expect(() => loose[name]?.(...args)).toThrow(text);
  });
});

describe('files', () => {
  it('are close-on-exec, whether asked for or not', () => {
    withoutLeak(() => {
      const [read, write] = native.pipe();
      const fds = [
        read,
        write,
        native.open('/', O_PATH),
        native.openat2(AT_FDCWD, '/', O_PATH, 0, 0),
        native.dup(read),
      ];
      fds.push(...native.socketpair(), native.sealedMemfd('x', new Uint8Array()), native.pidfdOpen(process.pid));
      try {
        for (const fd of fds) expect(flagsOf(fd) & CLOEXEC, `descriptor ${fd}`).toBe(CLOEXEC);
      } finally {
        for (const fd of fds) native.close(fd);
      }
    });
  });

  it('stay in a root: .. and absolute links lead no further', () =>
    withFolder((folder) => {
      writeFileSync(join(folder, 'passwd'), 'inside');
      symlinkSync('/passwd', join(folder, 'absolute'));
      symlinkSync('../../../../passwd', join(folder, 'climbing'));
      const root = new OwnedFd(native.open(folder, O_PATH | O_DIRECTORY));
      try {
        for (const name of ['passwd', 'absolute', 'climbing', '../../passwd', '/passwd']) {
          const file = new OwnedFd(native.openat2(root.fd, name, O_RDONLY, 0, RESOLVE_IN_ROOT));
          expect(readFileSync(file.fd, 'utf8'), name).toBe('inside');
          file.close();
        }
        const error = failureOf(() => native.openat2(root.fd, 'climbing', O_RDONLY, 0, RESOLVE_BENEATH));
        expect(error.syscall?.errno).toBe('EXDEV');
        expect(error.message).toMatch(/the path leaves the directory that it must stay in/);
      } finally {
        root.close();
      }
    }));

  it('of memory hold their bytes, and refuse every change', () => {
    const data = Buffer.from('a program');
    const fd = new OwnedFd(native.sealedMemfd('program', data));
    try {
      expect(readFileSync(`/proc/self/fd/${fd.fd}`)).toEqual(data);
      expect(readlinkSync(`/proc/self/fd/${fd.fd}`)).toMatch(/^\/memfd:program/);
      for (const change of [() => writeFileSync(`/proc/self/fd/${fd.fd}`, 'other'), () => writeFileSync(fd.fd, 'x')])
        expect(change).toThrow(/EPERM/);
      expect(readFileSync(`/proc/self/fd/${fd.fd}`)).toEqual(data);
    } finally {
      fd.close();
    }
  });

  it('know their file system', () => {
    expect(native.fsMagic('/proc')).toBe(PROC_SUPER_MAGIC);
  });
});

describe('terminals', () => {
  it('have a size', () => {
    const master = new OwnedFd(native.open('/dev/ptmx', O_RDWR));
    try {
      native.setWindowSize(master.fd, 132, 43);
      expect(native.getWindowSize(master.fd)).toEqual({ columns: 132, rows: 43 });
      expect(() => native.setWindowSize(master.fd, 65536, 1)).toThrow(RangeError);
    } finally {
      master.close();
    }
  });
});

describe('questions about namespaces', () => {
  it('are answered by their descriptors', () => {
    withoutLeak(() => {
      const net = new OwnedFd(native.open('/proc/self/ns/net', O_RDONLY));
      const user = new OwnedFd(native.nsGetUserns(net.fd));
      expect(native.nsGetType(net.fd)).toBe(CLONE_NEWNET);
      expect(native.nsGetType(user.fd)).toBe(CLONE_NEWUSER);
      expect(native.nsGetOwnerUid(user.fd)).toBeGreaterThanOrEqual(0);
      expect(flagsOf(user.fd) & CLOEXEC).toBe(CLOEXEC);
      expect(failureOf(() => native.nsGetOwnerUid(net.fd)).syscall?.errno).toBe('EINVAL');
      for (const fd of [net, user]) fd.close();
    });
  });

  it('stop at the topmost namespace that we may see', () => {
    const pid = new OwnedFd(native.open('/proc/self/ns/pid', O_RDONLY));
    try {
      expect(failureOf(() => native.nsGetParent(pid.fd)).message).toMatch(/^ioctl\(\d+, NS_GET_PARENT\): EPERM/);
    } finally {
      pid.close();
    }
  });
});

describe('questions about the kernel', () => {
  it('tell a call that is there from one that is not', () => {
    expect(native.hasSyscall(434)).toBe(true); // pidfd_open, without which none of these tests would run
    expect(native.hasSyscall(9999)).toBe(false);
  });

  it('know seccomp’s actions', () => {
    expect(native.seccompActionAvailable(0x7fff0000)).toBe(true); // SECCOMP_RET_ALLOW
    expect(native.seccompActionAvailable(0x12340000)).toBe(false);
  });

  it('give Landlock’s version', () => {
    const listed = existsSync('/sys/kernel/security/lsm') && readFileSync('/sys/kernel/security/lsm', 'utf8');
    if (listed) expect(native.landlockAbi() > 0).toBe(listed.split(',').includes('landlock'));
    else expect(native.landlockAbi()).toBeGreaterThanOrEqual(0);
  });

  it('give the resource limits that /proc shows', () => {
    const shown = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    const { soft, hard } = native.getrlimit(RLIMITS.indexOf('RLIMIT_NOFILE'));
    expect([String(soft), String(hard)]).toEqual(shown?.slice(1, 3));
    for (const number of RLIMITS.keys()) expect(native.getrlimit(number).hard).toBeGreaterThanOrEqual(0n);
  });
});
